"""Base of the swap families: conditions, and a new family."""
import sys

import pytest
import torch
from torch import Tensor

from configs.resolve import resolve
from datasets.loaders import build_loader
from experiments.training.devices.fabric import build_fabric
from experiments.training.engine import Engine
from models import registry
from models.batch import PARTS, SwapBatch
from models.registry import build_family, family_types
from models.swap.conditions import dilated_face, identity_mixer, swap_conditions
from tests.contract.small import RandomImages
from tests.contract.stubs import ID_DIM, tiny_perception

NEW_FAMILY = """
import torch
from torch import nn

from models.swap.family import SwapFamily, SwapFamilyConfig
from models.swap.losses import SWAP_LOSS_WEIGHTS, RenderedSwap, swap_losses


class LinearConfig(SwapFamilyConfig):
    id_dim: int = 8
    weights: dict[str, float] = {**SWAP_LOSS_WEIGHTS, 'id': 1.0, 'reconstruction': 1.0}


class Linear(SwapFamily):
    def __init__(self, config, perception):
        super().__init__(config, perception)
        self.color = nn.Linear(config.id_dim, 3)

    def param_groups(self):
        return {'generator': list(self.parameters())}

    def render(self, batch):
        return torch.tanh(batch.target + self.color(self.source_embedding(batch))[:, :, None, None])

    def forward(self, group, batch, step, cache):
        image, labels = self.render(batch), self.labels(batch)
        face = self.conditions(batch.target, labels).face
        swap = RenderedSwap(image, batch, labels, face, self.source_embedding(batch), self.perception)
        return swap_losses(swap, self.config.weights)

    @torch.no_grad()
    def generate(self, batch, *, generator=None):
        return self.render(batch)
"""


def test_a_new_family_is_a_file_and_a_registry_line(tmp_path, monkeypatch):
    (tmp_path / 'linear_family.py').write_text(NEW_FAMILY)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(registry.FAMILIES, 'linear', registry.FamilyEntry('linear_family', 'Linear', 'LinearConfig', 'swap'))
    monkeypatch.setitem(sys.modules, 'linear_family', None)
    del sys.modules['linear_family']
    schema = family_types('linear')[1]
    config = resolve('linear', schema(size=16).model_dump(), {}, [])
    engine = config.engine.model_copy(update={'steps': 2, 'log_every': 1, 'compile': False, 'accelerator': 'cpu'})
    config = config.model_copy(update={'engine': engine})
    family = build_family('linear', config.model, tiny_perception())
    before = family.color.weight.detach().clone()
    loader = build_loader(RandomImages(SwapBatch, 16, 16, True), 4)
    Engine(config, family, loader, fabric=build_fabric(engine), folder=tmp_path / 'run').fit()
    assert not torch.equal(family.color.weight, before)
    loaded = registry.load_family(tmp_path / 'run' / 'family.safetensors', family.perception)
    torch.testing.assert_close(loaded.color.weight, family.color.weight.detach())


def target_and_labels() -> tuple[Tensor, Tensor]:
    target = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    labels = torch.full((2, 32, 32), PARTS.index('hair'))
    labels[:, 10:22, 10:22] = PARTS.index('skin')
    return target, labels


@pytest.mark.parametrize(('parsing', 'channels'), [(True, len(PARTS)), (False, 1)])
def test_conditions_have_the_documented_shapes(parsing, channels):
    conditions = swap_conditions(*target_and_labels(), parsing=parsing, margin_px=1)
    assert conditions.parsing_onehot.shape == (2, channels, 32, 32)
    assert conditions.background_image.shape == (2, 3, 32, 32) and conditions.face.shape == (2, 1, 32, 32)


def test_the_background_image_does_not_depend_on_the_dilated_face():
    target, labels = target_and_labels()
    conditions = swap_conditions(target, labels, parsing=True, margin_px=2)
    hidden = dilated_face(conditions.face, 2)
    repainted = swap_conditions(torch.where(hidden.bool(), -target, target), labels, parsing=True, margin_px=2)
    assert torch.equal(conditions.background_image, repainted.background_image)
    visible = (1 - hidden).bool().expand_as(target)
    torch.testing.assert_close(conditions.background_image[visible], target[visible])


def test_the_mixer_does_not_change_pairs_of_the_same_identity():
    images, same = torch.zeros(6, 3, 4, 4), torch.tensor([True, False] * 3)
    embeddings = torch.nn.functional.normalize(torch.randn(6, ID_DIM, generator=torch.Generator().manual_seed(0)))
    torch.manual_seed(0)
    mix = identity_mixer(SwapBatch(images, images, same), 1.0)
    mixed = mix(embeddings)
    assert torch.equal(mixed, mix(embeddings))
    torch.testing.assert_close(mixed[same], embeddings[same])
    torch.testing.assert_close(mixed.norm(dim=1), torch.ones(6))
    assert not torch.allclose(mixed, embeddings)
    assert identity_mixer(SwapBatch(images, images, same), 0.0)(embeddings) is embeddings
