"""CycleGAN (Zhu et al. 2017), with the published networks or with self-attention."""
