"""SATNet, MUNIT with self-attention and an identity loss."""
