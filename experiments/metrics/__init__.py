"""Figures that compare faces and pictures."""
