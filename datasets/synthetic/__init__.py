"""Faces drawn by the suite itself, with known causes: the embedded default data set."""
from .causes import ATTRIBUTE_RANGES, ATTRIBUTES, IDENTITY, exaggerate, sample_attributes, sample_identity
from .paint import Rendering, render

__all__ = ['ATTRIBUTES', 'ATTRIBUTE_RANGES', 'IDENTITY', 'Rendering', 'exaggerate', 'render', 'sample_attributes', 'sample_identity']
