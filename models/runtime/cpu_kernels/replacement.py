"""Replacement of torch layers by their CPU kernels."""
from typing import TypeGuard

from torch import nn

from models.runtime.cpu_kernels.instance_norm import GroupedInstanceNorm2d
from models.runtime.cpu_kernels.narrow_convolution import MAX_OUT_CHANNELS, NarrowConv2d
from models.runtime.cpu_kernels.upsampling import UpsamplingConv2d


def use_cpu_kernels(module: nn.Module) -> int:
    """Replace layers inside `module`, in place, by layers with the same parameters that are faster on a CPU.

    | layer                                                     | kernel                |
    | --------------------------------------------------------- | --------------------- |
    | nn.InstanceNorm2d without running statistics              | GroupedInstanceNorm2d |
    | nn.Conv2d, stride 1, at most 4 outputs                    | NarrowConv2d          |
    | nn.Upsample(2, nearest), ReflectionPad2d(1), nn.Conv2d(3) | UpsamplingConv2d      |

    Values stay the same up to rounding, and so do the names in the state dict. On other devices and under autocast the kernels
    compute what the replaced layers do. NarrowConv2d cannot be differentiated twice, so that it cannot be used in networks
    with a gradient penalty.

    Returns:
        The number of replaced layers.
    """
    replaced = 0
    for parent in list(module.modules()):
        children = list(parent.named_children())
        if isinstance(parent, nn.Sequential):
            for (first, upsample), (second, pad), (third, conv) in zip(children, children[1:], children[2:]):
                if _is_doubling(upsample) and _is_reflection_by_1(pad) and _is_plain_3x3(conv):
                    setattr(parent, first, nn.Identity())
                    setattr(parent, second, nn.Identity())
                    setattr(parent, third, _with_parameters_of(conv, UpsamplingConv2d(
                        conv.in_channels, conv.out_channels, 3, bias=conv.bias is not None, device='meta')))
                    replaced += 1
        for name, layer in parent.named_children():
            if type(layer) is nn.InstanceNorm2d and not layer.track_running_stats:
                setattr(parent, name, _with_parameters_of(layer, GroupedInstanceNorm2d(
                    layer.num_features, layer.eps, affine=layer.affine, device='meta')))
                replaced += 1
            elif _is_narrow(layer):
                setattr(parent, name, _with_parameters_of(layer, NarrowConv2d(
                    layer.in_channels, layer.out_channels, layer.kernel_size[0], bias=layer.bias is not None, device='meta',
                    padding=(int(layer.padding[0]), int(layer.padding[1])))))
                replaced += 1
    return replaced


def _with_parameters_of(layer: nn.Conv2d | nn.InstanceNorm2d, kernel: nn.Conv2d | nn.InstanceNorm2d) -> nn.Module:
    """The kernel with the parameters of the layer, shared, and in its mode."""
    kernel.weight, kernel.bias = layer.weight, layer.bias
    return kernel.train(layer.training)


def _is_doubling(layer: nn.Module) -> bool:
    return type(layer) is nn.Upsample and layer.mode == 'nearest' and layer.scale_factor == 2


def _is_reflection_by_1(layer: nn.Module) -> bool:
    return type(layer) is nn.ReflectionPad2d and layer.padding == (1, 1, 1, 1)


def _is_dense(layer: nn.Module) -> TypeGuard[nn.Conv2d]:
    return type(layer) is nn.Conv2d and (layer.stride, layer.dilation, layer.groups) == ((1, 1), (1, 1), 1)


def _is_plain_3x3(layer: nn.Module) -> TypeGuard[nn.Conv2d]:
    return _is_dense(layer) and layer.kernel_size == (3, 3) and layer.padding == (0, 0)


def _is_narrow(layer: nn.Module) -> TypeGuard[nn.Conv2d]:
    return (_is_dense(layer) and layer.out_channels <= MAX_OUT_CHANNELS and layer.padding_mode == 'zeros'
            and layer.kernel_size[0] == layer.kernel_size[1] > 1 and not isinstance(layer.padding, str))
