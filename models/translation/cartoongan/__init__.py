"""CartoonGAN (Chen et al. 2018)."""
