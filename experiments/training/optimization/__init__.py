"""Optimizers and their schedules, loss weights, EMA weights and mixed precision. Import from the modules."""
