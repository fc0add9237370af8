"""CUT: contrastive loss, mirrored inputs, shared translations."""
import math

import pytest
import torch
import torch.nn.functional as F

from models.losses.contrastive import patch_nce
from models.translation.cut.family import CUT, CUTConfig
from tests.models.translation.batches import Calls, pairs

TINY = {
    'size': 16,
    'width': 4,
    'blocks': 1,
    'discriminator_width': 4,
    'discriminator_layers': 2,
    'layers': (0, 4, 8),
    'patches': 8,
    'features': 8,
}


def cut(**changes) -> CUT:
    torch.manual_seed(0)
    return CUT(CUTConfig(**{**TINY, **changes}), None)


def test_the_contrastive_loss_is_0_for_matching_keys_and_log_n_for_equal_ones():
    keys = torch.eye(16)[None]
    assert patch_nce(keys, keys) < 1e-4
    same = torch.ones(2, 16, 4) / 2
    assert patch_nce(same, same).item() == pytest.approx(math.log(16), rel=1e-5)
    assert patch_nce(keys, keys.roll(1, 1)) > 10


def test_negatives_are_of_the_same_image():
    keys = F.normalize(torch.randn(3, 8, 4, generator=torch.Generator().manual_seed(0)), dim=2)
    together = patch_nce(keys, keys)
    separate = torch.stack([patch_nce(keys[i:i + 1], keys[i:i + 1]) for i in range(3)]).mean()
    torch.testing.assert_close(together, separate)


def test_keys_have_no_gradient():
    queries, keys = (torch.randn(1, 4, 4, requires_grad=True) for _ in range(2))
    patch_nce(queries, keys).backward()
    assert queries.grad.abs().max() > 0 and keys.grad is None


def test_the_direction_of_the_config_is_the_only_one():
    family, batch = cut(direction='b2a').eval(), pairs()
    assert torch.equal(family.generate(batch), family.translate(batch.b, 'b2a'))
    assert list(family.panel(batch)) == ['b', 'b2a']
    with pytest.raises(ValueError, match='supported: b2a'):
        family.translate(batch.a, 'a2b')


def test_fastcut_mirrors_half_of_the_inputs_in_training_alone(monkeypatch):
    family, batch = cut(flip=True, weights={'nce': 10.0}), pairs()
    inputs = []
    family.generator.model[0].register_forward_hook(lambda module, args, output: inputs.append(args[0]))
    for sample, mirrored in ((0.1, True), (0.9, False)):
        monkeypatch.setattr(torch, 'rand', lambda *shape, sample=sample: torch.tensor(sample))
        inputs.clear()
        assert family('generator', batch, 0, {})['nce'] > 0
        assert torch.equal(inputs[0], batch.a.flip(3)) == mirrored
    inputs.clear()
    monkeypatch.setattr(torch, 'rand', lambda *shape: torch.tensor(0.1))
    family.eval()('generator', batch, 0, {})
    assert torch.equal(inputs[0], batch.a)


def test_maps_of_a_mirrored_translation_are_mirrored_back(monkeypatch):
    """A generator with symmetric kernels, which commutes with mirroring, has the same loss either way."""
    family, batch = cut(flip=True, antialias=True, patches=300, weights={'nce': 1.0}), pairs()
    with torch.no_grad():
        for parameter in family.generator.parameters():
            if parameter.ndim == 4:
                parameter.copy_(0.5 * (parameter + parameter.flip(3)))
    losses = []
    for sample in (0.1, 0.9):
        monkeypatch.setattr(torch, 'rand', lambda *shape, sample=sample: torch.tensor(sample))
        losses.append(family('generator', batch, 0, {})['nce'])
    # Subsampling takes every second pixel from the left, so that mirror images differ slightly.
    torch.testing.assert_close(losses[0], losses[1], rtol=0.05, atol=0)


def test_both_param_groups_share_one_translation():
    family, batch, cache = cut(), pairs(), {}
    calls = Calls(family.generator.model[-1])  # the last layer
    family('generator', batch, 0, cache)
    family('discriminator', batch, 0, cache)
    assert calls.count == 1
