"""pix2pixHD (Wang et al. 2018) on face parsing maps."""
