"""Devices and processes of a run. Import from the modules."""
