"""The state of a run and the checkpoints that hold it. Import from the modules."""
