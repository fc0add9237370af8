"""The training engine: loop, validation, checkpoints, devices and processes, and the config of a run. Import from the modules."""
