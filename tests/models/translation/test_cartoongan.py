"""CartoonGAN: initialization, content loss, edge-smoothed negatives."""
import torch

from models.registry import build_family
from tests.contract.stubs import tiny_perception
from tests.models.translation.batches import has_gradient, pairs

CARTOON = {'size': 16, 'width': 4, 'blocks': 1, 'discriminator_width': 4}


def cartoongan(**changes):
    torch.manual_seed(0)
    return build_family('cartoongan', {**CARTOON, **changes}, tiny_perception())


def test_only_the_content_loss_is_active_during_the_initialization():
    family, batch = cartoongan(initialization_steps=3), pairs()
    first, second = (family('generator', batch, step, {}) for step in (2, 3))
    assert first['adversarial'] == 0 and first['content'] > 0 and second['adversarial'] > 0
    family('discriminator', batch, 2, {})['discriminator'].backward()
    assert not has_gradient(family.discriminator)
    family('discriminator', batch, 3, {})['discriminator'].backward()
    assert has_gradient(family.discriminator)


def test_the_content_loss_uses_vgg_or_else_the_teacher():
    family, batch = cartoongan(), pairs()
    fake = family.generator(batch.a)
    assert family.content(batch.a, batch.a) == 0 and family.content(fake, batch.a) > 0
    vgg_loss = family.content(fake, batch.a)
    family.perception.vgg = None
    teacher_loss = family.content(fake, batch.a)
    assert teacher_loss > 0 and teacher_loss != vgg_loss and family.content(batch.a, batch.a) == 0
    teacher_loss.backward()
    assert has_gradient(family.generator)


def test_the_discriminator_is_trained_on_edge_smoothed_drawings():
    family = cartoongan(norm='instance').eval()
    inputs = []
    family.discriminator.register_forward_hook(lambda module, args, output: inputs.append(args[0]))
    batch = pairs()
    batch.b[:] = -1
    batch.b[:, :, :, 8:] = 1
    family('discriminator', batch, 0, {})
    drawing, blurred, _ = inputs
    assert torch.equal(drawing, batch.b)
    assert (blurred - drawing).abs()[..., 7:9].max() > 0.2 and torch.equal(blurred[..., :4], drawing[..., :4])
