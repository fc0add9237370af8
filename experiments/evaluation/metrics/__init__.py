"""Figures that compare faces and images."""
