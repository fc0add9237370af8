"""Samples of each task: swaps, identities, parsing, causes. Import from the modules."""
