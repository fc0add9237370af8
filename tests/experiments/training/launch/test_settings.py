"""Refusal of settings that have no effect."""
import importlib
from collections.abc import Iterator
from dataclasses import fields

import pytest
import torch
import yaml

from configs.base import Config
from configs.data import PairData, RecognitionData, SwapData
from configs.resolve import PRESETS, merge, parse_override, read_preset, resolve
from experiments.training.launch.settings import ignored_settings, started
from experiments.training.tasks.base import load_task
from models.batch import PairBatch, SwapBatch
from models.registry import FAMILIES, GENERATORS, build_family, family_entry, family_types
from tests.contract.configs import TINY_CONFIGS
from tests.contract.stubs import tiny_perception
from tests.datasets.layouts import folders, image, write
from tests.datasets.webcaricatures import webcaricatures


@pytest.mark.parametrize(('family', 'override', 'reason'), [
    ('cgan', 'data.root=faces', 'a data set on disk'),
    ('cgan', 'data.augment=false', 'on disk'),
    ('cgan', 'model.threshold=0.5', 'model.id_loss_form=hinge'),
    ('cgan', 'model.generator.size=32', 'model.size applies'),
    ('cgan', 'perception.vgg=vgg19', 'a loss or a condition'),
    ('cgan', 'param_groups.discriminator.floor=0.5', 'schedule=linear or cosine'),
    ('ddpm', 'model.jitter=0.1', 'not trained with it'),
    ('ddpm', 'model.blend=0.5', 'not trained with it'),
    ('ddpm', 'model.sampling.until=0.5', 'down above 0'),
    ('ddpm', 'perception.distillation_teacher=cvae', 'a loss or a condition'),
    ('cut', 'data.crops=1', 'photos and drawings on disk'),
    ('cut', 'data.matching.space=hsv', 'photos and drawings on disk'),
    ('cut', 'data.matching.ratio=0.5', 'data.matching.space'),
    ('recognizer', 'data.exaggerate=2', 'a training partition on disk'),
    ('recognizer', 'data.balanced=true', 'webcaricature'),
    ('recognizer', 'data.validation_batches=2', 'the loss distill'),
    ('parser', 'perception.teacher=mobilefacenet-068', 'a loss or a condition'),
    ('cyclegan', 'perception.teacher=mobilefacenet-068', 'a loss or a condition'),
    ('cyclegan', 'model.clip=0.1', 'model.adversary=wgan'),
    ('cvae', 'engine.best_is=max', 'engine.best'),
])
def test_ignored_setting_is_refused_before_the_run_begins(family, override, reason, tmp_path, capsys):
    script = importlib.import_module('scripts.train')
    assert script.main(['--family', family, '--steps', '1', '--set', override, '--out', str(tmp_path / 'run')]) == 2
    error = capsys.readouterr().err
    name = override.partition('=')[0]
    assert error.startswith(f'train.py: {name}=') and reason in error and error.count('\n') == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(('family', 'key'), [
    ('cgan', 'crops'), ('cgan', 'exaggerate'), ('cgan', 'balanced'), ('cgan', 'matching'), ('cut', 'same_ratio'),
    ('pix2pixhd', 'crops'), ('recognizer', 'same_ratio'), ('parser', 'name'), ('causes', 'root'), ('causes', 'augment'),
])
def test_data_setting_of_another_task_is_refused(family, key):
    with pytest.raises(ValueError, match=f'data.{key} has no effect on the family {family}; ') as error:
        started(family, None, [{'data': {key: 1}}])
    assert '\n' not in str(error.value)


def test_setting_that_another_override_enables_is_accepted():
    overrides = [parse_override(text) for text in ('model.id_loss_form=hinge', 'model.threshold=0.5', 'engine.ema_from=0.5')]
    config = started('cgan', 'cgan', overrides)
    assert config.model['threshold'] == 0.5 and config.engine.ema_from == 0.5


def test_preset_setting_without_effect_is_at_its_default():
    config = started('cgan', 'cgan', [parse_override('data.validation_batches=0')])
    assert read_preset('cgan')['engine']['validate_every'] != config.engine.validate_every == 500


@pytest.mark.parametrize('name', sorted(path.stem for path in PRESETS.glob('*.yaml')))
def test_presets_hold_no_ignored_setting(name, tmp_path):
    settings = read_preset(name)
    if '--data unpaired' in (PRESETS / f'{name}.yaml').read_text():
        settings = {**settings, 'data': {**settings.get('data', {}), 'name': 'unpaired', 'root': 'images'}}
    path = tmp_path / f'{name}.yaml'  # a file outside of configs/ is checked against the defaults
    path.write_text(yaml.safe_dump(settings))
    assert started(settings['family'], str(path), []).family == settings['family']


@pytest.fixture(scope='module')
def roots(tmp_path_factory):
    root = tmp_path_factory.mktemp('data')
    for number in range(24):
        write(root / 'unpaired' / ('trainA', 'trainB')[number % 2] / f'p{number // 2}__0.png', image(number))
    return {'synthetic': None, 'folder': folders(root / 'folder', num_identities=40, each=2), 'unpaired': root / 'unpaired',
            'webcaricature': webcaricatures(root / 'webcaricature', num_identities=12, size=32)}


CHANGED = {'partition': 'validation', 'same_ratio': 0.0, 'augment': False, 'crops': 1.0, 'balanced': True, 'exaggerate': 1.5,
           'matching.space': 'rgb', 'matching.to_a': 1.0, 'matching.ratio': 0.3}


def first_samples(family: str, data: Config) -> list:
    """The first training samples of a data set, as build_training takes them."""
    entry = family_entry(family)
    size = {'recognizer': 112}.get(family, 32)
    config = resolve(family, entry.load()[1](size=size).model_dump(), {}, [], entry.data_section)
    config = config.model_copy(update={'data': data})
    samples = load_task(entry.data_task).samples(config, entry.load()[1](**config.model), False).train
    batched = hasattr(samples, 'batch') and getattr(data, 'balanced', False)
    return [samples.batch([(0, index)]) if batched else samples[0, index] for index in range(min(6, len(samples)))]


def is_equal(first: list, second: list) -> bool:
    """Whether two lists of samples have bit-exact values."""
    def values(samples):
        return [getattr(sample, field.name) for sample in samples for field in fields(sample)]

    return len(first) == len(second) and all(
        torch.equal(a, b) if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) else a is b
        for a, b in zip(values(first), values(second), strict=True))


@pytest.mark.parametrize(('family', 'name', 'settings'), [
    ('cvae', 'synthetic', {}), ('cvae', 'folder', {}), ('cut', 'synthetic', {}), ('cut', 'unpaired', {}),
    ('cut', 'unpaired', {'matching': {'space': 'hsv'}}), ('cut', 'unpaired', {'augment': False}),
    ('recognizer', 'synthetic', {}), ('recognizer', 'folder', {}),
    ('recognizer', 'webcaricature', {'partition': 'verification-1'}),
], ids=str)
def test_data_setting_changes_samples_or_is_refused(family, name, settings, roots):
    data_type = family_entry(family).data_section
    assert data_type in (SwapData, PairData, RecognitionData)
    data = data_type(name=name, root=str(roots[name]) if roots[name] else None, **settings)
    samples = first_samples(family, data)
    for setting, value in CHANGED.items():
        section, _, key = setting.partition('.')
        if section not in data_type.model_fields:
            continue
        if setting == 'partition' and name == 'webcaricature' or setting == 'balanced' and name == 'folder':
            continue  # WebCaricature has other partitions; balanced batches need photos and drawings
        changed = data_type(**merge(data.model_dump(), {section: {key: value} if key else value}))
        if changed == data:
            continue
        equal = is_equal(samples, first_samples(family, changed))
        if setting in changed.ignored():
            assert equal, f'{setting} is refused but changes samples'
        else:
            assert not equal, f'{setting} is accepted but changes nothing'


def recorded_reads(monkeypatch) -> set[tuple[type, str]]:
    """The (config type, field) pairs that are read from now on, as a set that grows."""
    reads: set[tuple[type, str]] = set()
    getattribute = Config.__getattribute__

    def recording(config, name):
        if not name.startswith(('_', 'model_')):
            reads.add((type(config), name))
        return getattribute(config, name)

    monkeypatch.setattr(Config, '__getattribute__', recording)
    return reads


def leaf_fields(config: Config, prefix: str = '') -> Iterator[tuple[str, type, str]]:
    """(dotted name, config type, field) of each field that is no section."""
    for name in type(config).model_fields:
        value = getattr(config, name)
        if isinstance(value, Config):
            yield from leaf_fields(value, f'{prefix}{name}.')
        else:
            yield f'{prefix}{name}', type(config), name


@pytest.mark.parametrize('name', GENERATORS)
def test_model_setting_is_read_or_refused(name, monkeypatch):
    family_type, schema = family_types(name)
    model = schema(**TINY_CONFIGS[name])
    perception, size, rng = tiny_perception(), model.size, torch.Generator().manual_seed(0)
    first, second = torch.rand(2, 4, 3, size, size, generator=rng) * 2 - 1
    same, labels, identity_labels = torch.arange(4) % 2 == 0, torch.ones(4, size, size, dtype=torch.int64), torch.arange(4)
    batch = PairBatch(first, second, same) if family_type.batch is PairBatch else SwapBatch(
        first, second, same, labels, source_label=identity_labels, target_label=identity_labels)
    config = resolve(name, model.model_dump(), {}, [], FAMILIES[name].data_section)
    refused, expected = ignored_settings(config), list(leaf_fields(model))
    with monkeypatch.context() as patch:
        reads = recorded_reads(patch)
        family = build_family(name, model.model_dump(), perception)
        family.lr_scales()
        cache = {}
        for group in family.param_groups():
            family(group, batch, 0, cache)
            family.after_update(group)
        family.eval()
        family.panel(batch)
    unread = {key for key, config_type, field in expected
              if (config_type, field) not in reads and field not in ('kind', 'weights')}
    assert unread <= {key.removeprefix('model.') for key in refused}, 'accepted but never read'
