"""Journal, running means, progress bar and diagnosis of a run. Import from the modules."""
