"""Mutated presets, ablations, configs of runs and overrides on the command line."""
from pathlib import Path

import pytest

from configs.ablation import overrides, read_ablation
from configs.resolve import PRESETS, checked, dump, load, parse_override, read_preset, resolve
from models.registry import family_types
from tests.fuzz.contract import check
from tests.fuzz.mutators import TEXT

OVERRIDES = (
    'engine.steps=100',
    'model.weights.id=1e-4',
    'param_groups.generator.betas=[0.5, 0.999]',
    'data.root=/data/faces',
    'data.matching={space: hsv, ratio: 0.5}',
    'engine.best=validation/id',
)


def _preset(path: Path) -> None:
    preset = read_preset(str(path))
    config = resolve('cvae', family_types('cvae')[1]().model_dump(), preset, [])
    checked(family_types('cvae')[1], config.model)
    dump(config)


def _ablation(path: Path) -> None:
    for change in read_ablation(str(path))[1].expanded().values():
        overrides(change)


def _override(path: Path) -> None:
    text = path.read_bytes().decode(errors='surrogateescape')  # as the command line gives it
    dump(resolve('cgan', family_types('cgan')[1]().model_dump(), {}, [parse_override(text)]))


@pytest.mark.parametrize('name', ['cvae', 'cvae-faces'])
def test_presets_are_read_or_refused(tmp_path, count, name):
    check(f'preset {name}', (PRESETS / f'{name}.yaml').read_bytes(), _preset, tmp_path / 'preset.yaml', 3 * count, TEXT)


@pytest.mark.parametrize('name', ['identity', 'sampler'])
def test_ablations_are_read_or_refused(tmp_path, count, name):
    check(f'ablation {name}', (PRESETS / f'ablations/{name}.yaml').read_bytes(), _ablation, tmp_path / 'a.yaml', 2 * count, TEXT)


def test_configs_of_runs_are_read_or_refused(tmp_path, count):
    family_types('cgan')
    config = resolve('cgan', family_types('cgan')[1]().model_dump(), {}, [])
    check('config.yaml', dump(config).encode(), load, tmp_path / 'config.yaml', 2 * count, TEXT)


@pytest.mark.parametrize('text', OVERRIDES)
def test_overrides_are_read_or_refused(tmp_path, count, text):
    family_types('cgan')
    check(f'--set {text}', text.encode(), _override, tmp_path / 'argument', count, TEXT)
