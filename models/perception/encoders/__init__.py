"""Identity encoders: `embedder.Embedder` (a network with its preprocessing), `network` (base of the networks), the networks
`mobilefacenet`, `iresnet`, `sphereface` and `simswap_arcface`, `margins` (heads) and `family` (training)."""
