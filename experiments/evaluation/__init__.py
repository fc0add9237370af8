"""Evaluation of swaps, translations, parsers and identity encoders: protocols, metrics, judges and systems."""
