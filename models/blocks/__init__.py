"""Layers that networks of several families share: attention, norms, residual blocks, resampling, spectral normalization."""
