"""Journal, running means, progress bar and monitor of a run. Import from the modules."""
