"""Identity embedder: alignment, normalization, mirroring, jitter."""
import torch

from models import geometry
from models.perception.encoders.embedder import Embedder
from tests.contract.stubs import TinyEmbedder


def images(size: int = 112) -> torch.Tensor:
    return torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_mirrored_embedding_is_invariant_to_mirroring():
    torch.manual_seed(0)
    network, batch = TinyEmbedder(), images()
    plain, mirrored = (Embedder(network, 'arcface', mirrored=option)(batch, template='arcface') for option in (False, True))
    flipped = Embedder(network, 'arcface', mirrored=True)(batch.flip(3), template='arcface')
    torch.testing.assert_close(mirrored, flipped, atol=1e-5, rtol=0)
    assert (plain - mirrored).abs().max() > 1e-3
    torch.testing.assert_close(mirrored.norm(dim=1), torch.ones(2))


def test_alignment_by_template_points_equals_alignment_by_template():
    torch.manual_seed(0)
    embedder, batch = Embedder(TinyEmbedder(), 'sphereface'), images(128)
    points = geometry.template('face').scaled(128).tensor().expand(2, 5, 2)
    torch.testing.assert_close(embedder(batch, points=points), embedder(batch), atol=1e-4, rtol=0)


def test_channel_order_and_scale():
    network, batch = TinyEmbedder(), images()
    crop = Embedder(network, 'arcface', scale=0.5, bgr=True).aligned(batch, template='arcface')
    torch.testing.assert_close(crop, 0.5 * batch.flip(1), atol=1e-4, rtol=0)


def test_gradient_reaches_the_image_only():
    embedder, batch = Embedder(TinyEmbedder(), 'arcface'), images().requires_grad_()
    embedder(batch)[:, 0].sum().backward()
    assert batch.grad.abs().max() > 0 and all(parameter.grad is None for parameter in embedder.parameters())


def test_jitter_differs_per_crop():
    torch.manual_seed(0)
    embedder, jitter = Embedder(TinyEmbedder(), 'arcface'), 0.05
    y, x = torch.meshgrid(torch.arange(112.0), torch.arange(112.0), indexing='ij')
    point = torch.tensor([76.0, 56.0])  # 20 pixels right of the center
    spot = torch.exp(-((x - point[0]) ** 2 + (y - point[1]) ** 2) / 8).expand(64, 3, 112, 112)
    crops = embedder.aligned(spot, template='arcface', jitter=jitter)[:, 0]
    offsets = torch.stack([(crops * axis).sum((1, 2)) / crops.sum((1, 2)) for axis in (x, y)], 1) - point
    assert offsets.abs().max() < jitter * 112 + 1.5 * jitter * 20, 'shift, scale and rotation are at most the jitter each'
    assert offsets.amax(0).min() > 3 and offsets.amin(0).max() < -3, 'in both directions'
    assert offsets.mean(0).abs().max() < 1.5
