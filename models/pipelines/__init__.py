"""The Python API: face swapping in photos and videos, and image translation.

`photo` and `simswap` swap faces, `swap_model` loads their networks, `translate` translates faces, `video` applies both to videos
and cameras; they share `blend`, `framing`, `occlusion` and `upscaling`. `files`, `io` and `video` write image and video files,
`onnx_export` writes ONNX files. Import from the modules: nothing is re-exported, so that importing one pipeline does not load the
others.
"""
