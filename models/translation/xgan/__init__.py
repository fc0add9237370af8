"""XGAN (Royer et al. 2018)."""
