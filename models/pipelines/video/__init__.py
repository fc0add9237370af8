"""Video pipelines: face generation in videos and camera streams. Writes MP4 files and folders of unfinished segments.

`clip` and `animation` decode, `color` tone-maps HDR, `tracking` and `smoothing` follow faces, `engine` generates and blends them
in the threads of `stages`, `segments`, `mux` and `audio` encode, `camera` reads cameras and shows frames; `driver` converts the
files and cameras of `targets`. Import from the modules.
"""
