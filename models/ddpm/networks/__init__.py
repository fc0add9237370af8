"""Diffusion networks: `denoiser.Denoiser` (base class), `unet.SwapUNet` (conditional), `adm.ADMUNet`, `published.PublishedUNet`
(diffusers) and `onnx_export.PortableDenoiser` (onnxruntime)."""
