"""Transforms of images together with their annotations, and augmentations of pairs and identities. Import from the modules."""
