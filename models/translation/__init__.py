"""Translation between two domains, photos (a) and drawings (b): one folder per system, and the modules that several share."""
