"""Evaluation: systems, judges, protocols, metrics."""
