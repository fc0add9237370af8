"""Networks, losses, samplers and pipelines. Nothing here reads a file but weights, and nothing imports datasets or experiments."""
