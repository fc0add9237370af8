"""Where onnxruntime runs what, for each place of the suite that opens a file with it."""
import zipfile
from contextlib import suppress

import insightface.model_zoo.scrfd  # noqa: F401  before onnxruntime is changed, whose session it extends
import onnxruntime
import pytest

from models import weights
from models.perception.detection import SCRFD
from models.runtime.sessions import Session, providers

CPU = 'CPUExecutionProvider'
INSTALLED = ['TensorrtExecutionProvider', 'CUDAExecutionProvider', CPU]  # in the order of onnxruntime-gpu


class Opened(Exception):
    """Instead of a session."""


@pytest.mark.parametrize('device, wanted', [
    ('cpu', [CPU]), ('cuda', [('CUDAExecutionProvider', {'device_id': 0}), CPU]),
    ('cuda:1', [('CUDAExecutionProvider', {'device_id': 1}), CPU]), ('mps', [CPU]),
])
def test_every_session_runs_on_the_device_that_was_asked_for(monkeypatch, tmp_path, device, wanted):
    asked = []

    def session(*args, providers, **kwargs):
        asked.append(providers)
        raise Opened

    monkeypatch.setattr(onnxruntime, 'get_available_providers', lambda: INSTALLED)
    monkeypatch.setattr(onnxruntime, 'InferenceSession', session)
    file, pack = tmp_path / 'network.onnx', tmp_path / 'buffalo_l.zip'
    file.write_bytes(b'')
    with zipfile.ZipFile(pack, 'w') as archive:
        archive.writestr('det_10g.onnx', b'')
    monkeypatch.setattr(weights, 'path', lambda name: pack)
    for opened in (Session, lambda file, device: SCRFD(device)):
        with suppress(Opened, ValueError):
            opened(file, device)
    assert asked == [wanted, wanted]


def test_without_onnxruntimes_gpu_build_the_cpu_computes(monkeypatch):
    monkeypatch.setattr(onnxruntime, 'get_available_providers', lambda: [CPU])
    assert providers('cuda:1') == [CPU]
