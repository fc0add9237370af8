"""Translation between two domains, photos (a) and drawings (b): one module per system."""
