"""Execution providers of ONNX Runtime sessions."""
import zipfile
from contextlib import suppress

import insightface.model_zoo.scrfd  # noqa: F401  subclasses the session that the test replaces
import onnxruntime
import pytest

from models import weights
from models.perception.detection import SCRFD
from models.runtime.sessions import Session, providers

CPU = 'CPUExecutionProvider'
INSTALLED = ['TensorrtExecutionProvider', 'CUDAExecutionProvider', CPU]  # in the order of onnxruntime-gpu


class SessionRequested(Exception):
    """Raised in place of opening a session."""


@pytest.mark.parametrize('device, expected', [
    ('cpu', [CPU]), ('cuda', [('CUDAExecutionProvider', {'device_id': 0}), CPU]),
    ('cuda:1', [('CUDAExecutionProvider', {'device_id': 1}), CPU]), ('mps', [CPU]),
])
def test_sessions_use_the_provider_of_their_device(monkeypatch, tmp_path, device, expected):
    requested = []

    def session(*args, providers, **kwargs):
        requested.append(providers)
        raise SessionRequested

    monkeypatch.setattr(onnxruntime, 'get_available_providers', lambda: INSTALLED)
    monkeypatch.setattr(onnxruntime, 'InferenceSession', session)
    file, pack = tmp_path / 'network.onnx', tmp_path / 'buffalo_l.zip'
    file.write_bytes(b'')
    with zipfile.ZipFile(pack, 'w') as archive:
        archive.writestr('det_10g.onnx', b'')
    monkeypatch.setattr(weights, 'path', lambda name: pack)
    for open_session in (Session, lambda file, device: SCRFD(device)):
        with suppress(SessionRequested, ValueError):
            open_session(file, device)
    assert requested == [expected, expected]


def test_without_a_gpu_build_of_onnxruntime_the_provider_is_the_cpu(monkeypatch):
    monkeypatch.setattr(onnxruntime, 'get_available_providers', lambda: [CPU])
    assert providers('cuda:1') == [CPU]
