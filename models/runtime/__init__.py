"""Fast forms of networks: onnxruntime sessions, int8 quantization, fused inference copies, and opt-in CPU kernels."""
