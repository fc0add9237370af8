"""Protocols: fixed lists of pairs and how they are measured."""
