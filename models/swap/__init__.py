"""Shared parts of the face swapping families: conditions, losses, and the base class."""
