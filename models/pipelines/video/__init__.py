"""Video pipelines: decoding, face tracking, temporal smoothing, color conversion, encoding and cameras."""
