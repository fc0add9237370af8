"""Full precision under autocast and with half precision inputs."""
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from datasets.synthetic import SyntheticSwaps
from models import geometry
from models.batch import PairBatch
from models.blocks.norms import LIN
from models.blocks.spectral import SpectralEveryForward, spectral
from models.perception.build import load_embedder, load_parser
from models.perception.landmarks.five_point import FiveLandmarks
from models.precision import full_precision, normalized
from models.registry import build_family
from models.translation.edge_smoothing import blur_edges
from models.translation.pix2pixhd.networks import region_means
from tests.contract.configs import TINY_CONFIGS
from tests.contract.stubs import tiny_perception

HALF = [torch.bfloat16, torch.float16]


@pytest.fixture(scope='module')
def faces() -> torch.Tensor:
    """(2,3,160,160) in [-1,1]."""
    samples = SyntheticSwaps('train', 160, length=2)
    return torch.stack([samples[index].target for index in range(2)])


def test_full_precision_disables_autocast_and_converts_half_precision_only():
    @full_precision
    def product(first, pair, *, scale=None):
        assert not torch.is_autocast_enabled('cpu')
        assert pair[1].dtype == torch.float64 and scale['by'].dtype == torch.int64
        return first @ pair[0] * scale['by']

    ones = torch.ones(2, 2)
    with torch.autocast('cpu', torch.bfloat16):
        result = product(ones.half(), [ones.bfloat16(), ones.double()], scale={'by': torch.tensor(3)})
        assert torch.is_autocast_enabled('cpu') and (ones @ ones).dtype == torch.bfloat16
    assert result.dtype == torch.float32 and (result == 6).all()


@pytest.mark.parametrize('dtype', HALF)
def test_geometry_equals_float32(faces, dtype):
    points = torch.tensor([[[51.3, 60.7], [98.9, 61.2], [74.1, 90.4], [53.8, 111.9], [96.2, 110.6]]])

    def aligned():
        matrix = geometry.align(points, geometry.template('arcface'))
        matrix = geometry.compose(torch.tensor([[[0.6, -0.8, 150.3], [0.8, 0.6, -20.7]]]), matrix)
        return matrix, geometry.apply(matrix, points), geometry.warp(faces[:1], matrix, (112, 112))

    expected = aligned()
    with torch.autocast('cpu', dtype):
        assert all(torch.equal(*pair) for pair in zip(expected, aligned()))
        half = geometry.warp(faces[:1].to(dtype), expected[0], (40, 40))
    torch.testing.assert_close(half, geometry.warp(faces[:1].to(dtype).float(), expected[0], (40, 40)), atol=0, rtol=0)


@pytest.mark.parametrize('dtype', HALF)
def test_landmarks_parsing_and_edges_equal_float32(faces, dtype):
    for measure in (FiveLandmarks(), load_parser('parsing-unet'), blur_edges):
        expected = measure(faces)
        with torch.autocast('cpu', dtype):
            assert torch.equal(measure(faces), expected)


@pytest.mark.parametrize('dtype', HALF)
def test_embedding_is_close_to_float32(faces, dtype):
    encoder = load_embedder('identity-mobilefacenet')
    expected = encoder(faces)
    with torch.autocast('cpu', dtype):
        assert F.cosine_similarity(encoder(faces), expected).min() > 0.9995


@pytest.mark.parametrize('normalization', [spectral, SpectralEveryForward])
def test_singular_values_equal_float32(normalization):
    torch.manual_seed(0)
    layer = normalization(nn.Conv2d(16, 16, 3))
    matrix = dict(layer.named_parameters())['weight_orig' if normalization is spectral else 'module.weight_bar'].flatten(1)
    measure = layer.largest_singular_value if normalization is spectral else lambda: layer._largest_singular_value(matrix)
    layer.eval()
    expected = measure()
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(measure(), expected)


def test_means_of_regions_of_512_pixels_do_not_overflow():
    values, regions = torch.full((1, 2, 512, 512), 0.75, dtype=torch.float16), torch.zeros(1, 512, 512, dtype=torch.int64)
    means, area_fractions = region_means(values, regions, 2)
    assert means.tolist() == [[[0.75, 0.75], [0, 0]]] and area_fractions.tolist() == [[1, 0]]


def test_normalized_tiny_vectors_are_finite():
    tiny = torch.tensor([[6e-8, 0.0], [0.0, 0.0]], dtype=torch.float16)
    assert normalized(tiny).tolist() == [[1, 0], [0, 0]]


@pytest.mark.parametrize('dtype', HALF)
def test_detached_background_has_gradients_in_half_precision(dtype):
    family = build_family('ugatit', {**TINY_CONFIGS['ugatit'], 'detached_background': True, 'masks': 0, 'keep_input': False},
                          tiny_perception())
    batch = PairBatch(*torch.rand(2, 2, 3, 16, 16), torch.ones(2, dtype=torch.bool))
    with torch.autocast('cpu', dtype):
        assert family('generators', batch, 0, {})['adversarial_a2b'].isfinite()


@pytest.mark.parametrize('layer', [spectral(nn.Conv2d(3, 8, 3)), SpectralEveryForward(nn.Conv2d(3, 8, 3)), LIN(3)])
def test_compiled_layer_is_one_graph(layer):
    torch.compiler.reset()
    compiled = torch.compile(layer, backend='eager', fullgraph=True)  # fails where the graph breaks
    with torch.autocast('cpu', torch.bfloat16):
        assert compiled(torch.rand(2, 3, 8, 8)).isfinite().all()
