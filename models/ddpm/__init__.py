"""Denoising diffusion: the swap family, its networks, noise schedules, samplers, guidance and ILVR.

`family` holds the family and its config, `networks` the denoisers, `parameterization` the conversions between eps, x0 and v,
`process` and `schedules` the noise levels, `samplers` the sampling loop, `guidance` and `id_guidance` the guidance, `ilvr` and
`lowpass` iterative latent variable refinement, `loading` denoisers by name or file.
"""
