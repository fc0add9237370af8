"""Journal, running means and diagnosis of a run. Import from the modules."""
