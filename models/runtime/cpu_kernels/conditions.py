"""Condition under which the CPU kernels run."""
import torch
from torch import Tensor


def runs_on_cpu_in_float32(x: Tensor) -> bool:
    """Whether `x` is a float32 tensor on a CPU, outside autocast and outside an ONNX export."""
    return (x.device.type == 'cpu' and x.dtype == torch.float32 and not torch.is_autocast_enabled('cpu')
            and not torch.onnx.is_in_onnx_export())
