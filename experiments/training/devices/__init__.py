"""Devices and processes of a run, and the memory that it uses. Import from the modules."""
