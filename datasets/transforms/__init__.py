"""Alignment, augmentation and histogram matching of images. Import from the modules."""
