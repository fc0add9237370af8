"""Conditional denoising diffusion for face swapping."""
