"""Hand-written CPU forms of torch layers, switched on by `engine.cpu_kernels=true`."""
from models.runtime.cpu_kernels.replacement import use_cpu_kernels

__all__ = ['use_cpu_kernels']
