"""The examples of CONTRIBUTING.md: a loss, a family, a data set."""
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from configs.resolve import resolve
from datasets import registry as data_registry
from datasets.loaders import build_loader, build_swaps
from datasets.registry import build_faces
from experiments.training.devices.fabric import build_fabric
from experiments.training.engine import Engine
from models import registry
from models.batch import SwapBatch
from models.pipelines.io.images import write_image
from models.swap.losses import SWAP_LOSSES, swap_losses
from tests.contract.small import RandomImages
from tests.contract.stubs import tiny_perception
from tests.models.swap.test_losses import Rendered

TEXT = (Path(__file__).resolve().parent.parent / 'CONTRIBUTING.md').read_text(encoding='utf-8')
LOSS, FAMILY, DATA_SET = re.findall(r'```python\n(.*?)```', TEXT, re.S)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Imports source as a module of a temporary folder."""
    def load(name: str, source: str):
        (tmp_path / f'{name}.py').write_text(source)
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setitem(sys.modules, name, None)
        del sys.modules[name]
        return __import__(name)
    return load


def test_the_loss_is_computed_and_differentiable(module, monkeypatch):
    monkeypatch.setattr('models.swap.losses.SWAP_LOSSES', dict(SWAP_LOSSES))
    module('saturation_loss', LOSS)
    rendered = Rendered(tiny_perception()).swap()
    loss = swap_losses(rendered, {'saturation': 1.0})['saturation']
    loss.backward()
    assert 0 < loss < 2 and rendered.image.grad.abs().sum() > 0


def test_the_family_trains(module, monkeypatch, tmp_path):
    name, key, config_name, task = re.search(r"FamilyEntry\('([\w.]+)', '(\w+)', '(\w+)', '(\w+)'\)", TEXT).groups()
    assert name == 'models.tint.family'
    module('tint_family', FAMILY)
    monkeypatch.setitem(registry.FAMILIES, 'tint', registry.FamilyEntry('tint_family', key, config_name, task))
    schema = registry.family_types('tint')[1]
    engine = {'steps': 2, 'log_every': 1, 'accelerator': 'cpu'}
    config = resolve('tint', schema(size=16, id_dim=8).model_dump(), {}, [{'engine': engine}])
    family = registry.build_family('tint', config.model, tiny_perception())
    before = family.color.weight.detach().clone()
    loader = build_loader(RandomImages(SwapBatch, 16, 16, True), 4)
    Engine(config, family, loader, fabric=build_fabric(config.engine), folder=tmp_path / 'run').fit()
    assert not torch.equal(family.color.weight, before)


def test_the_data_set_becomes_batches(module, monkeypatch, tmp_path):
    monkeypatch.setattr(data_registry, 'FACES', dict(data_registry.FACES))
    module('scans_data', DATA_SET)
    for identity in range(3):
        for number in range(2):
            write_image(tmp_path / 'scans' / f'p{identity}_{number}.png', np.full((32, 32, 3), 40 * identity + number, np.uint8))
    faces = build_faces('scans', tmp_path / 'scans', 'all')
    assert len(faces) == 6 and len(faces.identity_names) == 3
    batch = next(iter(build_loader(build_swaps('scans', tmp_path / 'scans', 16, partition='all'), 2)))
    assert batch.source.shape == (2, 3, 16, 16)
