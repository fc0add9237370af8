"""Landmark networks: `five_point.FiveLandmarks` (differentiable) and the ONNX networks `onnx.FSANet` (pose) and `onnx.PFLD`."""
