"""XGAN: domain confusion, and discriminators of one or both domains."""
import torch

from models.registry import build_family
from tests.contract.stubs import ID_DIM, tiny_perception
from tests.models.translation.batches import has_gradient, pairs

XGAN = {'size': 32, 'width': 4, 'embedding': 16, 'discriminator_width': 4, 'id_dim': ID_DIM}


def xgan(**changes):
    torch.manual_seed(0)
    return build_family('xgan', {**XGAN, **changes}, tiny_perception())


def test_encoders_maximize_the_loss_of_the_domain_classifier():
    family, batch = xgan(weights={'domain': 1.0}).train(), pairs(8, 32)
    optimizer = torch.optim.SGD(family.domain_classifier.parameters(), 0.5)
    first = family('generators', batch, 0, {})['domain']
    for step in range(40):
        optimizer.zero_grad()
        family('generators', batch, step, {})['domain'].backward()
        optimizer.step()
    trained = family('generators', batch, 40, {})['domain']
    assert trained < first - 0.01
    family.zero_grad()
    trained.backward()
    torch.optim.SGD([*family.encode_a.parameters(), *family.encode.parameters()], 1e-3).step()
    assert family('generators', batch, 0, {})['domain'] > trained


def test_a_single_discriminator_is_of_the_drawings():
    assert set(xgan(both=False).discriminators) == {'b'}
    assert set(xgan().discriminators) == {'a', 'b'}
    family = xgan(both=False, weights={'adversarial': 1.0})
    family('generators', pairs(size=32), 0, {})['adversarial'].backward()
    assert has_gradient(family.decode_b) and not has_gradient(family.decode_a)
