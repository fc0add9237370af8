"""Training of translation families by scripts/train.py."""
from functools import partial

import pytest
import torch
from safetensors.torch import load_file

from configs.resolve import PRESETS, checked, read_preset, resolve
from models.registry import FAMILIES, family_types

TINY = [
    'model.size=32',
    'model.width=4',
    'model.blocks=1',
    'model.discriminator_width=4',
    'model.discriminator_layers=2',
    'model.pool=3',
    'data.batch=2',
    'data.workers=0',
    'data.validation_batches=1',
    'engine.accelerator=cpu',
    'engine.checkpoint_every=3',
]


@pytest.fixture
def train(run_train):
    return partial(run_train, settings=TINY)


def test_translator_resumes_bit_exactly_with_its_image_pool(train, tmp_path):
    whole, halves = tmp_path / 'whole', tmp_path / 'halves'
    constant = ['--set', 'param_groups.default.schedule=constant']
    assert train('--family', 'cyclegan', '--steps', 6, '--out', whole, *constant) == 0
    assert train('--family', 'cyclegan', '--steps', 3, '--out', halves, *constant) == 0
    assert train('--resume', halves, '--steps', 6) == 0
    first, second = (load_file(run / 'family.safetensors') for run in (whole, halves))
    assert first.keys() == second.keys() and all(torch.equal(value, second[name]) for name, value in first.items())
    states = [torch.load(run / 'checkpoints/step-00000006/state.pt', weights_only=True) for run in (whole, halves)]
    assert all(len(state['extra_state'][0]['a']) == 3 for state in states)
    assert torch.equal(*(state['extra_state'][0]['b'] for state in states))


def test_data_set_without_two_domains_is_refused(train, tmp_path, capsys):
    assert train('--family', 'cyclegan', '--data', 'celeba', '--root', tmp_path, '--out', tmp_path / 'run') == 2
    assert 'holds no two domains' in capsys.readouterr().err


@pytest.mark.parametrize('preset', ['cyclegan', 'cyclegan-anime', 'cut', 'fastcut', 'cartoongan', 'dtn', 'dtn-joint', 'xgan',
                                    'stargan', 'stargan-afhq'])
def test_published_presets_build(preset):
    content = read_preset(str(PRESETS / f'{preset}.yaml'))
    kind, schema = family_types(content['family'])
    config = resolve(content['family'], schema().model_dump(), content, [], FAMILIES[content['family']].data_section)
    with torch.device('meta'):
        family = kind(checked(schema, config.model), None)
    assert set(config.param_groups) <= {'default', *family.param_groups()}
