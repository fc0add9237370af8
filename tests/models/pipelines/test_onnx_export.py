"""Export of swap generators to ONNX, and families that run such files."""
import pytest
import torch

from models.base import FamilyConfig
from models.batch import SwapBatch
from models.cgan.generator import Generator, GeneratorConfig
from models.pipelines.onnx_export import OnnxFamily, SwapSession, export_family, export_generator, onnx_inputs
from models.registry import build_family
from models.runtime.quantization import quantize
from models.runtime.sessions import open_temporary
from tests.contract.stubs import ID_DIM, tiny_perception
from tests.models.stubs import FunctionFamily

CVAE = {'size': 32, 'fold': 2, 'widths': (16, 24), 'depth': 1, 'latent': 4, 'style': 16, 'background': 8, 'id_dim': ID_DIM}
CGAN = {
    'size': 32,
    'discriminator': {'kind': 'patch', 'width': 4, 'levels': 2, 'scales': 1},
    'generator': {
        'fold': 2,
        'widths': (16, 24),
        'blocks': 1,
        'decoder_blocks': 1,
        'id_dim': ID_DIM,
        'style': 8,
        'norm': 'group',
        'value_range': 'signed',
        'tanh': False,
        'attention': (8, 16),
        'pooled': True,
        'spectral': True,
        'condition_channels': 1,
        'background_image': True,
        'skips': 'background_image',
        'skip_width': 8,
        'mask': True,
    },
}


def batch(count: int, random: torch.Generator) -> SwapBatch:
    images = torch.rand(2, count, 3, 32, 32, generator=random) * 2 - 1
    return SwapBatch(images[0], images[1], torch.zeros(count, dtype=torch.bool))


@pytest.mark.parametrize('name, config', [('cvae', CVAE), ('cgan', CGAN)])
def test_exported_family_generates_the_same_images_for_any_batch_size(name, config, tmp_path):
    torch.manual_seed(0)
    family = build_family(name, config, tiny_perception())
    random = torch.Generator().manual_seed(1)
    for _ in range(20):  # spectral norms estimate their singular values in training mode
        family.generate(batch(2, random))
    family.eval()
    for attention in getattr(getattr(family, 'generator', None), 'attention', {}).values():
        torch.nn.init.ones_(attention.gamma)
    file = tmp_path / 'new' / 'swap.onnx'
    assert export_family(family, file) < 1e-4
    session = SwapSession(file)
    assert session.provider == 'CPUExecutionProvider' and list(file.parent.iterdir()) == [file]
    exported = OnnxFamily(session, family.perception)
    for count in (1, 5):
        samples = batch(count, random)
        torch.testing.assert_close(exported.generate(samples), family.generate(samples), rtol=0, atol=1e-4)


def test_unconditional_generator_is_exported_without_labels():
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig(size=32, widths=(8, 8, 16), blocks=2, id_dim=6)).eval()
    session = open_temporary(lambda file: export_generator(generator, file), open_file=SwapSession)
    target, identity = torch.rand(4, 3, 32, 32) * 2 - 1, torch.randn(4, 6)
    with torch.no_grad():
        torch.testing.assert_close(session(target=target, identity=identity), generator.swap(target, identity), rtol=0, atol=1e-4)
    with pytest.raises(ValueError, match='runtime onnx'):
        OnnxFamily(session, tiny_perception())


def test_export_of_a_sampling_family_raises(tmp_path):
    family = FunctionFamily(lambda batch: torch.randn_like(batch.target), 32, tiny_perception())
    with pytest.raises(ValueError, match='from noise'):
        export_family(family, tmp_path / 'a.onnx')
    assert not any(tmp_path.iterdir()) and family.config == FamilyConfig(size=32)


def test_other_files_raise(tmp_path):
    with pytest.raises(ValueError, match='does not exist'):
        SwapSession(tmp_path / 'absent.onnx')
    (tmp_path / 'notes.onnx').write_text('no network')
    with pytest.raises(ValueError, match='cannot be read as ONNX'):
        SwapSession(tmp_path / 'notes.onnx')


def test_int8_quantization_approximates_with_a_smaller_file(tmp_path):
    torch.manual_seed(0)
    family = build_family('cgan', CGAN, tiny_perception()).eval()
    file, random = tmp_path / 'swap.onnx', torch.Generator().manual_seed(1)
    export_family(family, file)
    size, session = file.stat().st_size, SwapSession(file)
    samples = [onnx_inputs(family, batch(3, random)) for _ in range(3)]
    error = quantize(file, samples)
    assert file.stat().st_size < size and list(tmp_path.iterdir()) == [file]
    batch_of_5 = batch(5, random)
    exact, quantized = (OnnxFamily(s, family.perception).generate(batch_of_5) for s in (session, SwapSession(file)))
    assert 0 < (exact - quantized).abs().max() < 0.2 and 0 < error < 0.05
    with pytest.raises(ValueError, match='two samples'):
        quantize(file, samples[:1])
