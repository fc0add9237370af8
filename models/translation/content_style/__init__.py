"""Content and style disentanglement, which MUNIT and SATNet share."""
