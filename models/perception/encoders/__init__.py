"""Identity encoders: `embedder.Embedder` (a network with its preprocessing), the networks `mobilefacenet`, `iresnet`,
`sphereface` and `simswap_arcface`, `margins` (heads), `family` (training) and `files` (encoder files)."""
