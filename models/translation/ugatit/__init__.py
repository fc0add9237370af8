"""U-GAT-IT (Kim et al. 2020) and its enhanced version."""
