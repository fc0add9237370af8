"""Typed settings of runs and ablations, their presets (YAML), and the conversion of names in older files."""
