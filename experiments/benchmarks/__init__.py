"""Benchmarks: speed of loading, networks, training steps and videos, and quality of occlusion masks."""
