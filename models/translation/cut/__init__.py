"""CUT and FastCUT (Park et al. 2020)."""
