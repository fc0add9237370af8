"""Loss functions: free functions of tensors, one file per idea."""
