"""The training engine: optimizers, EMA, checkpoints, journal and progress. Import from the modules."""
