"""Data sets: layouts on disk, samples, transforms and loaders."""
