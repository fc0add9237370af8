"""Samples of each task: from a list of faces to one item of a batch. Import from the modules."""
