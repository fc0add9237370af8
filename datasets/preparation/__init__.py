"""Preparation of data sets: alignment, filters, pseudo labels, part features."""
