"""An embedder aligns, normalizes and may look at the mirror image too."""
import torch

from models import geometry
from models.perception.encoders.embedder import Embedder
from tests.contract.stubs import TinyEmbedder


def images(size: int = 112) -> torch.Tensor:
    return torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_mirrored_embedding_is_invariant_to_mirroring():
    torch.manual_seed(0)
    network, given = TinyEmbedder(), images()
    plain, mirrored = (Embedder(network, 'arcface', mirrored=option)(given, template='arcface') for option in (False, True))
    seen = Embedder(network, 'arcface', mirrored=True)(given.flip(3), template='arcface')
    torch.testing.assert_close(mirrored, seen, atol=1e-5, rtol=0)
    assert (plain - mirrored).abs().max() > 1e-3
    torch.testing.assert_close(mirrored.norm(dim=1), torch.ones(2))


def test_alignment_by_template_points_equals_alignment_by_template():
    torch.manual_seed(0)
    embedder, given = Embedder(TinyEmbedder(), 'sphereface'), images(128)
    points = geometry.template('face').scaled(128).tensor().expand(2, 5, 2)
    torch.testing.assert_close(embedder(given, points=points), embedder(given), atol=1e-4, rtol=0)


def test_channel_order_and_scale():
    network, given = TinyEmbedder(), images()
    crop = Embedder(network, 'arcface', scale=0.5, bgr=True).aligned(given, template='arcface')
    torch.testing.assert_close(crop, 0.5 * given.flip(1), atol=1e-4, rtol=0)


def test_gradient_reaches_the_image_only():
    embedder, given = Embedder(TinyEmbedder(), 'arcface'), images().requires_grad_()
    embedder(given)[:, 0].sum().backward()
    assert given.grad.abs().max() > 0 and all(parameter.grad is None for parameter in embedder.parameters())


def test_jitter_differs_per_crop():
    torch.manual_seed(0)
    embedder, jitter = Embedder(TinyEmbedder(), 'arcface'), 0.05
    y, x = torch.meshgrid(torch.arange(112.0), torch.arange(112.0), indexing='ij')
    place = torch.tensor([76.0, 56.0])  # 20 beside the middle
    spot = torch.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / 8).expand(64, 3, 112, 112)
    crops = embedder.aligned(spot, template='arcface', jitter=jitter)[:, 0]
    found = torch.stack([(crops * axis).sum((1, 2)) / crops.sum((1, 2)) for axis in (x, y)], 1) - place
    assert found.abs().max() < jitter * 112 + 1.5 * jitter * 20, 'shift, scale and turn, each at most the jitter'
    assert found.amax(0).min() > 3 and found.amin(0).max() < -3, 'to either side'
    assert found.mean(0).abs().max() < 1.5
