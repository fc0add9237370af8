"""Data sets: layouts on disk, samples, transforms, loaders."""
