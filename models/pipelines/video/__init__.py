"""Videos: reading, tracking, smoothing, writing."""
