"""Export of networks to ONNX, and their inference by onnxruntime."""
import io
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, overload

import torch
from torch import Tensor, nn

from configs.reading import shown
from models.runtime.fusion import widened
from models.storage.files import replacing

MAX_EXPORT_ERROR = 1e-3  # absolute difference of onnxruntime and PyTorch, for values of about 1
_OPSET = 17  # ONNX operator set
Inputs = dict[str, Tensor]
T = TypeVar('T')


def bf16_on_cpu() -> bool:
    """Whether the processor has bfloat16 instructions, for which PyTorch has no public function."""
    return getattr(torch.cpu, '_is_avx512_bf16_supported', bool)()


def providers(device: str | torch.device) -> list:
    """Providers of onnxruntime for a torch device, as InferenceSession takes them.

    CUDA with the device's index where it is installed, then the CPU. TensorRT, which onnxruntime lists first, is left out, since
    it compiles every file for minutes.
    """
    import onnxruntime

    device = torch.device(device)
    on_gpu = device.type == 'cuda' and 'CUDAExecutionProvider' in onnxruntime.get_available_providers()
    return [('CUDAExecutionProvider', {'device_id': device.index or 0})] * on_gpu + ['CPUExecutionProvider']


class Session:
    """An ONNX file with a single output, run by onnxruntime.

    Args:
        file: the ONNX file.
        device: torch device; the CPU is used if onnxruntime has no provider for it.
        spin: whether idle threads wait actively, which is faster for a single network. False for networks that alternate with
            PyTorch on one processor.

    Attributes:
        inputs: name -> shape.
        metadata: custom metadata of the file.
        provider: the provider in use.

    Raises:
        ValueError: the file is missing or cannot be read.
    """

    def __init__(self, file: Path, device: str = 'cpu', *, spin: bool = True):
        import onnxruntime

        if not Path(file).is_file():
            raise ValueError(f'{file} does not exist; scripts/export.py writes networks of the suite as ONNX')
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.add_session_config_entry('session.intra_op.allow_spinning', '1' if spin else '0')
        options.log_severity_level = 3
        try:
            self.session = onnxruntime.InferenceSession(str(file), options, providers=providers(device))
            self.inputs = {value.name: value.shape for value in self.session.get_inputs()}
            self.metadata = self.session.get_modelmeta().custom_metadata_map
        except Exception as error:  # onnxruntime's errors have no common base class
            raise ValueError(f'{file} cannot be read as ONNX ({shown(error, 300)}); fetch it again') from error
        self.file = Path(file)
        self.provider = self.session.get_providers()[0]

    def __call__(self, **inputs: Tensor) -> Tensor:
        """The output of the network, on the CPU.

        Raises:
            ValueError: the network does not take the inputs.
        """
        try:
            output, = self.session.run(None, {name: value.cpu().numpy() for name, value in inputs.items()})
            return torch.from_numpy(output)
        except Exception as error:
            raise ValueError(f'the network in {self.file} does not run ({shown(error, 300)}); fetch it again') from error


@torch.no_grad()
def export(network: nn.Module, inputs: Callable[[int], Inputs], output: str, file: Path,
           metadata: dict[str, str] | None = None) -> float:
    """Write a network as ONNX with a dynamic batch size.

    Args:
        inputs: number of samples -> inputs by name, in the order of the network's arguments.
        output: name of the output.
        file: file to write.
        metadata: custom metadata.

    Returns:
        Largest absolute difference of onnxruntime and PyTorch.

    Raises:
        ValueError: the difference is above `MAX_EXPORT_ERROR`; nothing is written.
    """
    traced_inputs, network = inputs(2), network.eval()
    with replacing(file) as partial:
        _write(network, traced_inputs, output, metadata, partial)
        test_inputs = inputs(3)
        difference = float((Session(partial)(**test_inputs) - network(**test_inputs)).abs().max())
        if not difference <= MAX_EXPORT_ERROR:
            raise ValueError(f'onnxruntime and PyTorch differ by {difference:.1e}, more than {MAX_EXPORT_ERROR:.0e}: nothing was '
                             'written')
    return difference


def _write(network: nn.Module, inputs: Inputs, output: str, metadata: dict[str, str] | None, file: Path) -> None:
    import onnx

    buffer = io.BytesIO()  # errors of the exporter do not name a full disk
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # the tracer warns of every size that it takes as constant; all but the batch are
        # dynamo=False: the newer exporter requires the package onnxscript
        torch.onnx.export(widened(network), tuple(inputs.values()), buffer,  # type: ignore[arg-type]  # takes buffers as well
                          input_names=list(inputs), output_names=[output],
                          dynamic_axes={name: {0: 'batch'} for name in (*inputs, output)}, opset_version=_OPSET, dynamo=False)
    content = buffer.getvalue()
    if metadata:
        model = onnx.load_from_string(content)
        onnx.helper.set_model_props(model, metadata)
        content = model.SerializeToString()
    file.write_bytes(content)


@overload
def open_temporary(write: Callable[[Path], object], device: str = 'cpu') -> Session: ...


@overload
def open_temporary(write: Callable[[Path], object], device: str = 'cpu', *, open_file: Callable[[Path, str], T]) -> T: ...


@overload
def open_temporary(write: Callable[[Path], object], device: str, open_file: Callable[[Path, str], T]) -> T: ...


def open_temporary(write: Callable[[Path], object], device: str = 'cpu', open_file: Callable[[Path, str], Any] = Session) -> Any:
    """Open a network from a temporary file.

    Args:
        write: writes the ONNX file.
        device: torch device.
        open_file: opens it, with the device.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / 'network.onnx'
        write(file)
        return open_file(file, device)
