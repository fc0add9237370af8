"""Static int8 quantization of exported networks (Jacob et al. 2018, arXiv:1712.05877, section 3)."""
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from models.runtime.sessions import Inputs, Session
from models.storage.files import write_bytes

_QUANTIZED_OPERATIONS = ['Conv', 'Relu']
_RANKING_IMAGES = 4  # images on which the error of each convolution alone is measured


def quantize(file: Path, samples: Sequence[Inputs], num_float32: int = 0) -> float:
    """Quantize the convolutions and ReLUs of a file that `export` has written, in place.

    Weights are quantized per channel, activations by their range over all samples but the last.

    Args:
        samples: inputs, at least two.
        num_float32: number of convolutions that stay in float32: those whose quantization alone changes the output most.

    Returns:
        Root mean square change of the output for the last sample.

    Raises:
        ValueError: fewer than two samples.
    """
    from onnxruntime.quantization.shape_inference import quant_pre_process

    if len(samples) < 2:
        raise ValueError('int8 needs two samples at least: one for the ranges, another to measure the error')
    *calibration, last = samples
    exact = Session(file)(**last)
    with tempfile.TemporaryDirectory() as folder:
        prepared, quantized = Path(folder) / 'prepared.onnx', Path(folder) / 'quantized.onnx'

        def error(samples: Sequence[Inputs], **nodes: list[str]) -> float:
            _write_int8(prepared, quantized, samples, **nodes)
            return float((Session(quantized)(**last) - exact).square().mean().sqrt())

        quant_pre_process(str(file), str(prepared), skip_symbolic_shape=True)  # the batch size is dynamic
        excluded = []
        if num_float32:
            ranking_inputs = [{name: value[:_RANKING_IMAGES] for name, value in calibration[0].items()}]
            by_error = sorted(_convolutions(prepared), key=lambda name: error(ranking_inputs, nodes_to_quantize=[name]))
            excluded = by_error[-num_float32:]
        final_error = error(calibration, nodes_to_exclude=excluded)
        write_bytes(file, quantized.read_bytes())
    return final_error


def _convolutions(file: Path) -> list[str]:
    """Names of the convolution nodes of an ONNX file."""
    import onnx

    return [node.name for node in onnx.load(str(file)).graph.node if node.op_type == 'Conv']


def _write_int8(file: Path, output: Path, samples: Sequence[Inputs], **nodes: list[str]) -> None:
    """Write an int8 copy of a file. nodes: selection of nodes, as quantize_static takes it."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.remaining: Iterator[Inputs] = iter(samples)

        def get_next(self) -> dict[str, np.ndarray] | None:
            inputs = next(self.remaining, None)
            return None if inputs is None else {name: value.numpy() for name, value in inputs.items()}

    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        quantize_static(str(file), str(output), Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
                        op_types_to_quantize=_QUANTIZED_OPERATIONS, activation_type=QuantType.QUInt8,
                        weight_type=QuantType.QInt8, **nodes)
