"""Networks, losses, samplers, the families that combine them, and the pipelines.

Imports nothing of `datasets`, `experiments` or `scripts`. Modules read and write weights; `pipelines` also read and write images
and videos.
"""
