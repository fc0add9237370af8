"""Optimizers, learning rate schedules, loss weights, EMA and mixed precision. Import from the modules."""
