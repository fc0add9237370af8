"""Frozen networks that look at faces: identity, parsing, detection, features."""
