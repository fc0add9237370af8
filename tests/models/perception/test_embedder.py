"""An embedder aligns, normalises and may look at the mirror image too."""
import torch

from models import geometry
from models.perception.embedder import Embedder
from tests.contract.stubs import TinyEmbedder


def pictures(size: int = 112) -> torch.Tensor:
    return torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_a_mirrored_embedder_cannot_tell_a_picture_from_its_mirror_image():
    torch.manual_seed(0)
    network, given = TinyEmbedder(), pictures()
    plain, mirrored = (Embedder(network, 'arcface', mirrored=option)(given, template='arcface') for option in (False, True))
    seen = Embedder(network, 'arcface', mirrored=True)(given.flip(3), template='arcface')
    torch.testing.assert_close(mirrored, seen, atol=1e-5, rtol=0)
    assert (plain - mirrored).abs().max() > 1e-3
    torch.testing.assert_close(mirrored.norm(dim=1), torch.ones(2))


def test_landmarks_on_a_templates_points_align_as_the_template_does():
    torch.manual_seed(0)
    embedder, given = Embedder(TinyEmbedder(), 'sphereface'), pictures(128)
    points = geometry.template('face').scaled(128).tensor().expand(2, 5, 2)
    torch.testing.assert_close(embedder(given, points=points), embedder(given), atol=1e-4, rtol=0)


def test_channel_order_and_scale_are_the_networks():
    network, given = TinyEmbedder(), pictures()
    crop = Embedder(network, 'arcface', scale=0.5, bgr=True).aligned(given, template='arcface')
    torch.testing.assert_close(crop, 0.5 * given.flip(1), atol=1e-4, rtol=0)


def test_the_identity_of_a_picture_sends_a_gradient_to_it_and_not_to_the_network():
    embedder, given = Embedder(TinyEmbedder(), 'arcface'), pictures().requires_grad_()
    embedder(given)[:, 0].sum().backward()
    assert given.grad.abs().max() > 0 and all(parameter.grad is None for parameter in embedder.parameters())
