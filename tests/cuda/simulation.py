"""Simulated GPU.

A SimulatedTensor has the device cuda:0, its dispatch keys and the operator lists of autocast, and holds a CPU tensor that
computes the values, so that code which depends on values runs as on a GPU.

Not simulated: speed, memory, numerics of CUDA's kernels, torch.compile, NCCL.
"""
import importlib
import sys
from pathlib import Path

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map

aten = torch.ops.aten
_HALF = torch.float16, torch.bfloat16
_INDEXING = 'index', 'index_put', 'index_put_', '_index_put_impl_'
_NO_KERNEL = {'detach', 'view', '_unsafe_view', 't', 'transpose', 'permute', 'expand', 'slice', 'select', 'unsqueeze', 'squeeze',
              'as_strided', 'alias', 'split', 'split_with_sizes', 'unbind', 'unfold', 'diagonal', 'lift_fresh', '_reshape_alias',
              'empty', 'empty_like', 'empty_strided', 'new_empty', 'new_empty_strided', '_local_scalar_dense'}


class SimulatedTensor(torch.Tensor):
    """A tensor of the device cuda:0 with its values in `inner`, on the CPU."""

    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_wrapper_subclass(cls, inner.size(), strides=inner.stride(), dtype=inner.dtype,
                                                   storage_offset=inner.storage_offset(), device=torch.device('cuda:0'))

    def __init__(self, inner):
        self.inner = inner

    def __repr__(self):
        return f'SimulatedTensor({self.inner!r})'

    def __tensor_flatten__(self):
        return ['inner'], None

    @staticmethod
    def __tensor_unflatten__(inner, meta, size, stride):
        return SimulatedTensor(inner['inner'])

    def __deepcopy__(self, memo):
        copied = self.detach().clone()
        return torch.nn.Parameter(copied, self.requires_grad) if isinstance(self, torch.nn.Parameter) else copied

    def __reduce_ex__(self, protocol):  # torch.save writes a CPU tensor
        return self.inner.__reduce_ex__(protocol)

    def tolist(self):
        return self.cpu().tolist()

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return DEVICE.run(func, args, kwargs or {})


def _simulated(value) -> bool:
    return isinstance(value, SimulatedTensor)


def _call_site() -> str:
    """File and line of the innermost frame in the suite, tests excluded."""
    frame = sys._getframe(1)
    while frame:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(ROOT) and not path.is_relative_to(ROOT / 'tests'):
            return f'{path.relative_to(ROOT)}:{frame.f_lineno}'
        frame = frame.f_back
    return 'outside of the suite'


class SimulatedDevice(TorchDispatchMode):
    """Runs every operation by PyTorch's rules of devices. kernels: number of launched kernels."""

    kernels = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return self.run(func, args, kwargs or {})

    def run(self, func, args, kwargs):
        """The result of an operation, on the GPU where an argument is or the keyword `device` names it. Raises RuntimeError for
        tensors of two devices."""
        op, name = func.overloadpacket, func.overloadpacket.__name__
        if op is aten.is_pinned:
            return False
        if op is aten._pin_memory:
            return args[0].clone()
        tensors = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, torch.Tensor)]
        gpu_tensors, cpu_tensors = ([value for value in tensors if _simulated(value) is side] for side in (True, False))
        on_gpu, kwargs = bool(gpu_tensors), {key: value for key, value in kwargs.items() if key != 'pin_memory'}
        if kwargs.get('device') is not None:
            on_gpu = torch.device(kwargs['device']).type == 'cuda'
            kwargs['device'] = torch.device('cpu')
        elif op is aten.copy_:
            on_gpu = _simulated(args[0])
        elif gpu_tensors and cpu_tensors:
            _check_devices(name, args, cpu_tensors)
        self.kernels += bool(gpu_tensors) and name not in _NO_KERNEL
        result = _computed(func, op, *tree_map(lambda value: value.inner if _simulated(value) else value, (args, kwargs)))
        if not on_gpu:
            return result
        result = tree_map(lambda value: SimulatedTensor(value) if isinstance(value, torch.Tensor) else value, result)
        return return_and_correct_aliasing(func, args, kwargs, result) if gpu_tensors else result


def _check_devices(name: str, args: tuple, cpu_tensors: list[torch.Tensor]) -> None:
    """Raise RuntimeError for CPU tensors in an operation of the GPU. CPU scalars are valid inputs, CPU tensors valid indices."""
    if name in _INDEXING and _simulated(args[0]):
        cpu_tensors = [value for value in cpu_tensors if not any(value is index for index in args[1])]
    into_cpu = name.endswith('_') and isinstance(args[0], torch.Tensor) and not _simulated(args[0])
    if into_cpu or any(value.dim() for value in cpu_tensors):
        raise RuntimeError(f'Expected all tensors to be on the same device: {name} at {_call_site()} has CPU tensors, '
                           f'{[tuple(value.shape) for value in cpu_tensors]}')


def _computed(func, op, args, kwargs):
    """The result on the CPU, computed in float32 where the CPU lacks a kernel that CUDA has."""
    if op in (aten._softmax, aten._log_softmax) and args[2]:  # half precision to float32
        return func(args[0].float(), args[1], False)
    if op in (aten._softmax_backward_data, aten._log_softmax_backward_data) and args[3] != args[0].dtype:
        return func(*args[:3], args[0].dtype).to(args[3])
    if op in (aten.grid_sampler_2d, aten.grid_sampler_2d_backward) and args[0].dtype in _HALF:
        result = func(*(value.float() if isinstance(value, torch.Tensor) else value for value in args), **kwargs)
        return tree_map(lambda value: value.to(args[0].dtype) if isinstance(value, torch.Tensor) else value, result)
    return func(*args, **kwargs)


DEVICE = SimulatedDevice()
ROOT = Path(__file__).resolve().parent.parent.parent


class Generator(torch.Generator):
    """A generator of any device that generates on the CPU."""

    def __new__(cls, device='cpu'):
        generator = super().__new__(cls, 'cpu')
        generator.simulated = torch.device(device).type
        return generator


class GeneratorRules(TorchFunctionMode):
    """Raises RuntimeError where a generator of one device is used for tensors of another."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if (generator := kwargs.get('generator')) is not None:
            generator_device = getattr(generator, 'simulated', generator.device.type)
            device = kwargs.get('device') or next((x.device for x in args if isinstance(x, torch.Tensor)), 'cpu')
            if torch.device(device).type != generator_device:
                raise RuntimeError(f'a generator of {generator_device} is used for {device} at {_call_site()}')
        return func(*args, **kwargs)


def simulate_cuda() -> None:
    """Patch PyTorch in this process to report a GPU. Work on it runs inside of `with DEVICE, GeneratorRules()`."""
    cuda = torch.cuda
    results = {'_lazy_init': None, 'is_initialized': True, 'is_bf16_supported': True, 'get_device_capability': (9, 0),
               'get_device_name': 'simulated', 'manual_seed': None, 'manual_seed_all': None, 'synchronize': None,
               'empty_cache': None, 'max_memory_allocated': 0, 'set_rng_state': None}
    for name, result in results.items():
        setattr(cuda, name, lambda *_, result=result, **__: result)
    cuda.get_rng_state = lambda *_: torch.get_rng_state()
    torch._C._cuda_setDevice = lambda *_: None
    torch.Generator = Generator
    torch.backends.cudnn.enabled = False  # its batch norm is a separate operation
    for kind in ('flash', 'mem_efficient', 'cudnn'):
        getattr(torch.backends.cuda, f'enable_{kind}_sdp')(False)
    for module in ('torch.optim.optimizer', 'torch.utils._foreach_utils'):  # on a GPU they work on lists of tensors
        importlib.import_module(module)._foreach_supported_types.append(SimulatedTensor)
    torch._C._set_only_lift_cpu_tensors(True)
    torch.__future__.set_swap_module_params_on_conversion(True)
    torch.autograd.set_multithreading_enabled(False)
