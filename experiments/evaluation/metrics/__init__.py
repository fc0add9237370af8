"""Metrics as free functions of tensors: images, identity, verification, distributions, parsing, translation, cost."""
