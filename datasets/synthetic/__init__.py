"""Rendered faces with known parameters, the built-in default data set.

    rendering = render(sample_identity(seed, k), sample_attributes(seed, i), 64)

The ground truth of swapping identity A into image B is render(identity of A, attributes of B, size).
"""
from datasets.synthetic.parameters import ATTRIBUTE_RANGES, ATTRIBUTES, IDENTITY, exaggerate, sample_attributes, sample_identity
from datasets.synthetic.renderer import DOMAINS, SIZES, Rendering, render
from datasets.synthetic.samples import SPLITS, SyntheticFaces, SyntheticPairs, SyntheticSwaps, identity_number

__all__ = ['ATTRIBUTES', 'ATTRIBUTE_RANGES', 'DOMAINS', 'IDENTITY', 'SIZES', 'SPLITS', 'Rendering', 'SyntheticFaces',
           'SyntheticPairs', 'SyntheticSwaps', 'exaggerate', 'identity_number', 'render', 'sample_attributes', 'sample_identity']
