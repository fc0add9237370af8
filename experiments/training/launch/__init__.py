"""From a command line to a running engine: settings, run folder, building, dry run, exit code. Import from the modules."""
