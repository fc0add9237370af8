"""Face parsers: `parser.FaceParser` (a network with its alignment), the networks `parser.ParsingUNet`, `bisenet` and
`small_unet`, and `family` (training)."""
