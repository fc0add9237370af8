"""Domain transfer network (Taigman et al. 2017)."""
