"""Denoisers as ONNX files."""
import pytest
import torch

from models.ddpm.loading import load_denoiser
from models.ddpm.networks.onnx_export import export_denoiser, noisy
from models.ddpm.networks.unet import Condition
from models.registry import build_family
from models.runtime.quantization import quantize
from tests.contract.stubs import ID_DIM


@pytest.fixture
def denoiser():
    torch.manual_seed(0)
    family = build_family('ddpm', {'size': 16, 'widths': (8, 16), 'attention': 1, 'tokens': 2, 'id_dim': ID_DIM,
                                   'schedule': 'linear', 'prediction': 'epsilon'}, None)
    for parameter in family.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return family.eval().requires_grad_(False).denoiser


def test_exported_denoiser_equals_the_network(denoiser, tmp_path):
    file = tmp_path / 'new' / 'denoiser.onnx'
    assert export_denoiser(denoiser, 'face', file) < 1e-4
    portable, template = load_denoiser(str(file))
    assert (portable.size, portable.prediction, portable.schedule, template) == (16, 'epsilon', 'linear', 'face')
    image, timestep = torch.randn(5, 3, 16, 16), torch.tensor([0, 10, 500, 900, 999])
    torch.testing.assert_close(portable(image, timestep), denoiser(image, timestep), rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match='is unconditional'):
        portable(image, timestep, Condition(torch.zeros(5, 3, 16, 16), torch.zeros(5, ID_DIM)))


def test_int8_error_is_small(denoiser, tmp_path):
    file, rng = tmp_path / 'denoiser.onnx', torch.Generator().manual_seed(1)
    export_denoiser(denoiser, 'face', file)
    samples = [noisy(torch.rand(8, 3, 16, 16, generator=rng) * 2 - 1, denoiser, rng) for _ in range(5)]
    signal = denoiser(**samples[-1]).square().mean().sqrt()
    assert 0 < quantize(file, samples) < 0.1 * signal
    assert 0 < (load_denoiser(str(file))[0](**samples[-1]) - denoiser(**samples[-1])).square().mean().sqrt() < 0.1 * signal


def test_int8_spares_the_most_sensitive_convolutions(denoiser, tmp_path):
    with torch.no_grad():
        denoiser.stem.weight[:, 0] *= 1000  # outliers in the range of the next layer
    rng, errors = torch.Generator().manual_seed(1), {}
    samples = [noisy(torch.rand(8, 3, 16, 16, generator=rng) * 2 - 1, denoiser, rng) for _ in range(3)]
    for num_float32 in (0, 2):
        export_denoiser(denoiser, 'face', tmp_path / 'denoiser.onnx')
        errors[num_float32] = quantize(tmp_path / 'denoiser.onnx', samples, num_float32)
    assert 0 < errors[2] < 0.7 * errors[0]
    assert list(tmp_path.iterdir()) == [tmp_path / 'denoiser.onnx']


def test_invalid_file_raises(tmp_path):
    (tmp_path / 'notes.onnx').write_text('no network')
    with pytest.raises(ValueError, match='cannot be read as ONNX'):
        load_denoiser(str(tmp_path / 'notes.onnx'))
