"""The training engine and what it writes."""
