"""Ablations: plan, runs, comparison, tables, report."""
