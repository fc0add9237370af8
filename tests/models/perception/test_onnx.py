"""Pose and landmark networks with a stub session, and with the published weights where they are cached."""
import numpy as np
import pytest
import torch

from datasets.synthetic import ATTRIBUTES, render, sample_attributes, sample_identity
from models import weights
from models.images import to_tensor
from models.perception.landmarks import onnx

LANDMARKS = torch.rand(68, 2, generator=torch.Generator().manual_seed(0))


class Session:
    def __init__(self, *output: float):
        self.output, self.calls, self.inputs = torch.tensor(output), [], {'input': ()}

    def __call__(self, input):
        self.calls.append(input)
        return self.output.repeat(len(input), 1)


def stub_sessions(monkeypatch, **stubs: Session) -> None:
    """Replace ONNX sessions by stubs; names are those of weights, with underscores."""
    monkeypatch.setattr(weights, 'path', lambda name: name)
    monkeypatch.setattr(onnx, 'Session', lambda name, **_: stubs[name.replace('-', '_')])


def test_pose_is_the_mean_of_two_networks_on_bgr_crops(monkeypatch):
    first, second = Session(10.0, 2.0, 4.0), Session(20.0, 4.0, 0.0)
    stub_sessions(monkeypatch, fsanet_1x1=first, fsanet_var=second)
    images = torch.zeros(2, 3, 128, 128)
    images[:, 2] = -1
    images[:, 0, :, :64] = 1  # the left half in red
    predicted = onnx.FSANet()(images)
    assert predicted.tolist() == [[15, 3, 2]] * 2
    calls = first.calls
    assert len(calls) == 2 and calls[0].shape == (1, 3, 64, 64)
    blue, _, red = calls[0][0]
    assert torch.allclose(blue, torch.tensor(-127.5 / 128)) and red[:, :28].min() > 0.9 and red[:, 36:].abs().max() < 1e-6


@pytest.mark.parametrize('size', [64, 128])
def test_landmarks_are_in_pixels_of_the_image(monkeypatch, size):
    session = Session(*LANDMARKS.flatten().tolist())
    stub_sessions(monkeypatch, pfld_68=session)
    predicted = onnx.PFLD()(torch.rand(1, 3, size, size) * 2 - 1)[0]
    assert session.calls[0].shape == (1, 3, 112, 112) and session.calls[0].min() >= 0 and session.calls[0].max() <= 1
    # The square of 121 CelebA pixels around (88.5, 123), minus the corner (24, 60) of the template.
    expected = (LANDMARKS * 121 + torch.tensor([88.5 - 60.5 - 24, 123 - 60.5 - 60])) * size / 128 - 0.5
    assert torch.allclose(predicted, expected, atol=0.05)


@pytest.mark.skipif(not all(weights.entry(name).path.is_file() for name in ('fsanet-1x1', 'fsanet-var', 'pfld-68')),
                    reason='the weights fsanet-1x1, fsanet-var and pfld-68 are not cached')
def test_published_networks_on_rendered_faces():
    causes = np.stack([sample_attributes(0, i) for i in range(24)])
    faces = [render(sample_identity(0, i), causes[i], 128) for i in range(24)]
    images = torch.stack([to_tensor(face.image) for face in faces])
    yaw = onnx.FSANet()(images)[:, 0].numpy()
    assert abs(np.corrcoef(yaw, causes[:, ATTRIBUTES.index('yaw')])[0, 1]) > 0.8
    error = np.linalg.norm(onnx.PFLD()(images).numpy() - np.stack([face.landmarks for face in faces]), axis=2)
    assert error.mean() < 8  # pixels of 128
