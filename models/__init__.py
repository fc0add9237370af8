"""Networks, losses, samplers and pipelines. Nothing here reads a file but weights, or imports datasets or experiments."""
