"""Conditional variational auto-encoder for face swapping: networks and family."""
