"""Frozen perception networks.

`encoders` (identity), `parsers` (face parsing), `landmarks`, `features` (VGG, LPIPS, Inception, EfficientNet), `detection` and
`causes` (renderer parameters) hold the networks, `published` loads published ones by name, `build` assembles those of a run.
"""
