"""Networks as ONNX files, on onnxruntime, in float32 or with 8-bit convolutions."""
import io
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from configs.reading import shown
from models.files import replacing, write_bytes
from models.runtime.fusion import widened

_TOLERANCE = 1e-3  # largest difference between onnxruntime and PyTorch, for values of about 1
_OPSET = 17
_IN_INT8 = ['Conv', 'Relu']
_FEW = 4  # images that find out which convolutions int8 hurts
Inputs = dict[str, Tensor]
T = TypeVar('T')


def bf16_on_cpu() -> bool:
    """Whether the processor has instructions for bfloat16; PyTorch has no public function that says so."""
    return getattr(torch.cpu, '_is_avx512_bf16_supported', bool)()


def providers(device: str | torch.device) -> list:
    """onnxruntime's providers for a torch device, as InferenceSession takes them: CUDA's, with the device's index, where it is
    installed, then the CPU's; never TensorRT's, which onnxruntime lists first and which compiles each file for minutes."""
    import onnxruntime

    device = torch.device(device)
    on_gpu = device.type == 'cuda' and 'CUDAExecutionProvider' in onnxruntime.get_available_providers()
    return [('CUDAExecutionProvider', {'device_id': device.index or 0})] * on_gpu + ['CPUExecutionProvider']


class Session:
    """A file on onnxruntime: on the GPU where `device` asks for it and onnxruntime can. inputs: name -> shape. notes: what was
    written beside the network. provider: where it really runs. patient: threads that have nothing to do sleep, for networks that
    take turns with PyTorch's on one processor; otherwise they wait busily, which is quicker for a network by itself. ValueError
    where the file cannot be read."""

    def __init__(self, file: Path, device: str = 'cpu', *, spin: bool = True):
        import onnxruntime

        if not Path(file).is_file():
            raise ValueError(f'there is no file {file}; scripts/export.py writes networks of the suite as ONNX')
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.add_session_config_entry('session.intra_op.allow_spinning', '1' if spin else '0')
        options.log_severity_level = 3
        try:
            self.session = onnxruntime.InferenceSession(str(file), options, providers=providers(device))
            self.inputs = {given.name: given.shape for given in self.session.get_inputs()}
            self.notes = self.session.get_modelmeta().custom_metadata_map
        except Exception as error:  # onnxruntime's errors have no common base of their own
            raise ValueError(f'{file} cannot be read as ONNX ({shown(error, 300)}); get it anew') from error
        self.file = Path(file)
        self.provider = self.session.get_providers()[0]

    def __call__(self, **inputs: Tensor) -> Tensor:
        """The file's only output, on the CPU. ValueError where the network does not take the inputs."""
        try:
            output, = self.session.run(None, {name: value.cpu().numpy() for name, value in inputs.items()})
            return torch.from_numpy(output)
        except Exception as error:
            raise ValueError(f'the network in {self.file} does not run ({shown(error, 300)}); get it anew') from error


@torch.no_grad()
def export(network: nn.Module, inputs: Callable[[int], Inputs], output: str, file: Path,
           notes: dict[str, str] | None = None) -> float:
    """Write a network as ONNX; its batch may have any size. inputs: those for so many samples, by name and in order. notes: to be
    written beside it. Returns the largest difference between onnxruntime and PyTorch; ValueError where it is above 1e-3."""
    given, network = inputs(2), network.eval()
    with replacing(file) as partial:
        _write(network, given, output, notes, partial)
        other = inputs(3)
        difference = float((Session(partial)(**other) - network(**other)).abs().max())
        if not difference <= _TOLERANCE:
            raise ValueError(f'onnxruntime and PyTorch differ by {difference:.1e}, more than {_TOLERANCE:.0e}: nothing was '
                             'written')
    return difference


def _write(network: nn.Module, given: Inputs, output: str, notes: dict[str, str] | None, file: Path) -> None:
    import onnx

    model = io.BytesIO()  # the exporter's errors do not say that a disk is full
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # the tracer warns of every number that it takes for fixed, which all but the batch are
        # The newer exporter wants one more package; this one comes with PyTorch.
        torch.onnx.export(widened(network), tuple(given.values()), model, input_names=list(given), output_names=[output],
                          dynamic_axes={name: {0: 'batch'} for name in (*given, output)}, opset_version=_OPSET, dynamo=False)
    written = model.getvalue()
    if notes:
        noted = onnx.load_from_string(written)
        onnx.helper.set_model_props(noted, notes)
        written = noted.SerializeToString()
    file.write_bytes(written)


def quantize(file: Path, samples: Sequence[Inputs], spared: int = 0) -> float:
    """Turn the convolutions of a file that `export` wrote, and the ReLUs about them, into int8: weights by channel, maps by the
    range that they have over the samples but the last (Jacob et al. 2018, section 3, arXiv:1712.05877). spared: so many of the
    convolutions stay as they are, namely those that, each alone in int8, move the output most. Returns how far the last sample's
    output moved, root mean square. ValueError where there are fewer than two samples."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    if len(samples) < 2:
        raise ValueError('int8 wants two samples at least: one to find the ranges, another to see what was lost')
    *known, last = samples
    exact = Session(file)(**last)
    with tempfile.TemporaryDirectory() as folder:
        plain, trial = Path(folder) / 'plain.onnx', Path(folder) / 'trial.onnx'

        def moved(output: Path, known: Sequence[Inputs], **which: list[str]) -> float:
            _in_int8(plain, output, known, **which)
            return float((Session(output)(**last) - exact).square().mean().sqrt())

        quant_pre_process(str(file), str(plain), skip_symbolic_shape=True)  # the batch has no fixed size
        worst = []
        if spared:
            few = [{name: value[:_FEW] for name, value in known[0].items()}]
            worst = sorted(_convolutions(plain), key=lambda name: moved(trial, few, nodes_to_quantize=[name]))[-spared:]
        error = moved(trial, known, nodes_to_exclude=worst)
        write_bytes(file, trial.read_bytes())
    return error


def _convolutions(file: Path) -> list[str]:
    import onnx

    return [node.name for node in onnx.load(str(file)).graph.node if node.op_type == 'Conv']


def _in_int8(file: Path, output: Path, samples: Sequence[Inputs], **which: list[str]) -> None:
    """Write the file with its convolutions in int8; which: the nodes meant, as quantize_static has it."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.left: Iterator[Inputs] = iter(samples)

        def get_next(self):
            given = next(self.left, None)
            return given and {name: value.numpy() for name, value in given.items()}

    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        quantize_static(str(file), str(output), Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
                        op_types_to_quantize=_IN_INT8, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, **which)


def opened(write: Callable[[Path], object], device: str = 'cpu', open_file: Callable[[Path, str], T] = Session) -> T:
    """What `open_file` makes of a file that `write` writes, which does not outlive this call."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / 'network.onnx'
        write(file)
        return open_file(file, device)
