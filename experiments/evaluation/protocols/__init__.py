"""Evaluation protocols: fixed lists of pairs or images, and the metrics that are computed on them."""
