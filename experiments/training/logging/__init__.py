"""Journal, running means and monitor of a run. Import from the modules."""
