"""Conditional GAN for face swapping: generator, discriminators, family, published generators."""
