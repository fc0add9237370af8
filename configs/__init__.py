"""Settings of runs and ablations."""
