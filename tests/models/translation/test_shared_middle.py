"""CartoonGAN, DTN and XGAN: what each loss teaches."""
import pytest
import torch

from models.blocks.gradient_reversal import reverse_gradient
from models.registry import build_family
from tests.contract.stubs import IDENTITY, tiny_perception
from tests.models.translation.batches import pairs, touched

CARTOON = {'size': 16, 'width': 4, 'blocks': 1, 'discriminator_width': 4}
XGAN = {'size': 32, 'width': 4, 'embedding': 16, 'discriminator_width': 4, 'id_dim': IDENTITY}
DTN = {'size': 16, 'width': 4, 'discriminator_width': 4, 'features': IDENTITY}


def built(name: str, config: dict, **changes):
    torch.manual_seed(0)
    return build_family(name, {**config, **changes}, tiny_perception())


def test_content_alone_is_learned_until_the_initialisation_is_over():
    family, batch = built('cartoongan', CARTOON, initialization_steps=3), pairs()
    early, late = (family('generator', batch, step, {}) for step in (2, 3))
    assert early['adversarial'] == 0 and early['content'] > 0 and late['adversarial'] > 0
    family('discriminator', batch, 2, {})['discriminator'].backward()
    assert not touched(family.discriminator)
    family('discriminator', batch, 3, {})['discriminator'].backward()
    assert touched(family.discriminator)


def test_content_is_seen_by_vgg_where_there_is_one_and_by_the_teacher_otherwise():
    family, batch = built('cartoongan', CARTOON), pairs()
    fake = family.generator(batch.a)
    assert family.content(batch.a, batch.a) == 0 and family.content(fake, batch.a) > 0
    by_vgg = family.content(fake, batch.a)
    family.perception.vgg = None
    by_teacher = family.content(fake, batch.a)
    assert by_teacher > 0 and by_teacher != by_vgg and family.content(batch.a, batch.a) == 0
    by_teacher.backward()
    assert touched(family.generator)


def test_the_cartoon_discriminator_is_also_shown_drawings_without_edges():
    """A drawing with hard edges costs the discriminator more than a flat one does, which blurring leaves as it was."""
    family = built('cartoongan', CARTOON, norm='instance').eval()
    seen = []
    family.discriminator.register_forward_hook(lambda module, given, out: seen.append(given[0]))
    batch = pairs()
    batch.b[:] = -1
    batch.b[:, :, :, 8:] = 1
    family('discriminator', batch, 0, {})
    drawing, blurred, _ = seen
    assert torch.equal(drawing, batch.b)
    assert (blurred - drawing).abs()[..., 7:9].max() > 0.2 and torch.equal(blurred[..., :4], drawing[..., :4])


@pytest.mark.parametrize('encoder', ['frozen', 'joint'])
def test_constancy_alone_teaches_the_decoder(encoder):
    family = built('dtn', DTN, encoder=encoder, weights={'constancy': 1.0})
    family('generator', pairs(), 0, {})['constancy'].backward()
    assert touched(family.decoder) and touched(family.encoder) == (encoder == 'joint')


def test_the_ternary_discriminator_tells_three_kinds_apart():
    """With logits that name the right class the discriminator pays little, and the generator, who wants the third, much."""
    family, batch = built('dtn', DTN), pairs()
    right = torch.tensor([0, 0, 1, 1, 2, 2])
    family.discriminator = Named(right)
    assert family('discriminator', batch, 0, {})['discriminator'] < 0.01
    family.discriminator = Named(right[:4])
    caught = family('generator', batch, 0, {})['adversarial']
    family.discriminator = Named(torch.full((4,), 2))
    assert family('generator', batch, 0, {})['adversarial'] < 0.01 < 9 < caught


class Named(torch.nn.Module):
    """Logits that are sure of these classes, whatever they are shown."""

    def __init__(self, classes):
        super().__init__()
        self.logits = 10 * torch.nn.functional.one_hot(classes, 3).float()

    def forward(self, images):
        return self.logits


def test_a_reversed_gradient_is_the_opposite():
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    y = reverse_gradient(x)
    assert torch.equal(y, x)
    (3 * y).sum().backward()
    assert torch.equal(x.grad, torch.tensor([-3.0, -3.0]))


def test_encoders_work_against_the_domain_classifier_that_learns_in_the_same_step():
    family, batch = built('xgan', XGAN, weights={'domain': 1.0}).train(), pairs(8, 32)
    optimizer = torch.optim.SGD(family.tell.parameters(), 0.5)
    first = family('generators', batch, 0, {})['domain']
    for step in range(40):
        optimizer.zero_grad()
        family('generators', batch, step, {})['domain'].backward()
        optimizer.step()
    learned = family('generators', batch, 40, {})['domain']
    assert learned < first - 0.01
    family.zero_grad()
    learned.backward()
    torch.optim.SGD([*family.encode_a.parameters(), *family.encode.parameters()], 1e-3).step()
    assert family('generators', batch, 0, {})['domain'] > learned


def test_one_adversary_judges_drawings_alone():
    assert set(built('xgan', XGAN, both=False).discriminators) == {'b'}
    assert set(built('xgan', XGAN).discriminators) == {'a', 'b'}
    family = built('xgan', XGAN, both=False, weights={'adversarial': 1.0})
    family('generators', pairs(size=32), 0, {})['adversarial'].backward()
    assert touched(family.decode_b) and not touched(family.decode_a)
