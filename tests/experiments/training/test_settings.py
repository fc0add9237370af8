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
from experiments.training.settings import ignored_settings, started
from experiments.training.tasks.base import load_task
from models.batch import PairBatch, SwapBatch
from models.registry import FAMILIES, GENERATORS, build_family, family_entry, family_types
from tests.contract.stubs import tiny_perception
from tests.contract.test_family import TINY
from tests.datasets.layouts import folders, image, write
from tests.datasets.webcaricatures import webcaricatures


@pytest.mark.parametrize(('family', 'override', 'reason'), [
    ('cgan', 'data.root=faces', 'a data set on disk'),
    ('cgan', 'data.augment=false', 'on disk'),
    ('cgan', 'model.threshold=0.5', 'model.id_loss_form=hinge'),
    ('cgan', 'model.generator.size=32', 'model.size holds'),
    ('cgan', 'perception.vgg=vgg19', 'a loss or a condition'),
    ('cgan', 'param_groups.discriminator.floor=0.5', 'schedule=linear or cosine'),
    ('ddpm', 'model.jitter=0.1', 'only cvae and cgan'),
    ('ddpm', 'model.blend=0.5', 'only cvae and cgan'),
    ('ddpm', 'model.sampling.until=0.5', 'down above 0'),
    ('ddpm', 'perception.distillation_teacher=cvae', 'a loss or a condition'),
    ('cut', 'data.crops=1', 'photos and drawings on disk'),
    ('cut', 'data.matching.space=hsv', 'photos and drawings on disk'),
    ('cut', 'data.matching.ratio=0.5', 'data.matching.space'),
    ('recognizer', 'data.exaggerate=2', 'a training partition on disk'),
    ('recognizer', 'data.balanced=true', 'webcaricature'),
    ('parser', 'perception.teacher=mobilefacenet-068', 'a loss or a condition'),
    ('cyclegan', 'perception.teacher=mobilefacenet-068', 'a loss or a condition'),
    ('cyclegan', 'model.clip=0.1', 'model.adversary=wgan'),
    ('cvae', 'engine.best_is=max', 'engine.best'),
])
def test_a_setting_without_effect_is_refused_before_the_run_begins(family, override, reason, tmp_path, capsys):
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
def test_a_data_setting_of_another_task_is_unknown(family, key):
    with pytest.raises(ValueError, match=f'there is no setting data.{key}; ') as error:
        started(family, None, [{'data': {key: 1}}])
    assert '\n' not in str(error.value)


def test_what_one_setting_switches_on_another_may_set():
    overrides = [parse_override(text) for text in ('model.id_loss_form=hinge', 'model.threshold=0.5', 'engine.ema_from=0.5')]
    config = started('cgan', 'cgan', overrides)
    assert config.model['threshold'] == 0.5 and config.engine.ema_from == 0.5


def test_a_setting_of_a_preset_that_an_override_leaves_without_effect_is_at_its_default():
    config = started('cgan', 'cgan', [parse_override('data.validation_batches=0')])
    assert read_preset('cgan')['engine']['validate_every'] != config.engine.validate_every == 500


@pytest.mark.parametrize('name', sorted(path.stem for path in PRESETS.glob('*.yaml')))
def test_presets_hold_nothing_that_their_data_ignore(name, tmp_path):
    content = read_preset(name)
    if '--data unpaired' in (PRESETS / f'{name}.yaml').read_text():
        content = {**content, 'data': {**content.get('data', {}), 'name': 'unpaired', 'root': 'images'}}
    family = content['family']
    path = tmp_path / f'{name}.yaml'  # as somebody's own file, which is checked against the defaults
    path.write_text(yaml.safe_dump(content))
    assert started(family, str(path), []).family == family


@pytest.fixture(scope='module')
def roots(tmp_path_factory):
    root = tmp_path_factory.mktemp('data')
    for number in range(24):
        write(root / 'unpaired' / ('trainA', 'trainB')[number % 2] / f'p{number // 2}__0.png', image(number))
    return {'synthetic': None, 'folder': folders(root / 'folder', num_identities=40, each=2), 'unpaired': root / 'unpaired',
            'webcaricature': webcaricatures(root / 'webcaricature', num_identities=12, size=32)}


CHANGED = {'partition': 'validation', 'same_ratio': 0.0, 'augment': False, 'crops': 1.0, 'balanced': True, 'exaggerate': 1.5,
           'matching.space': 'rgb', 'matching.to_a': 1.0, 'matching.ratio': 0.3}


def samples(family: str, data: Config) -> list:
    """The first training samples of a data set, as build_training takes them."""
    entry = family_entry(family)
    size = {'recognizer': 112}.get(family, 32)
    config = resolve(family, entry.load()[1](size=size).model_dump(), {}, [], entry.data_section)
    config = config.model_copy(update={'data': data})
    found = load_task(entry.data_task).samples(config, entry.load()[1](**config.model), False).train
    batches = hasattr(found, 'batch') and getattr(data, 'balanced', False)
    return [found.batch([(0, index)]) if batches else found[0, index] for index in range(min(6, len(found)))]


def alike(first: list, second: list) -> bool:
    def values(found):
        return [getattr(sample, field.name) for sample in found for field in fields(sample)]

    return all(torch.equal(a, b) if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) else a is b
               for a, b in zip(values(first), values(second), strict=True)) if len(first) == len(second) else False


@pytest.mark.parametrize(('family', 'name', 'switched'), [
    ('cvae', 'synthetic', {}), ('cvae', 'folder', {}), ('cut', 'synthetic', {}), ('cut', 'unpaired', {}),
    ('cut', 'unpaired', {'matching': {'space': 'hsv'}}), ('cut', 'unpaired', {'augment': False}),
    ('recognizer', 'synthetic', {}), ('recognizer', 'folder', {}),
    ('recognizer', 'webcaricature', {'partition': 'verification-1'}),
], ids=str)
def test_every_data_setting_changes_samples_or_is_refused(family, name, switched, roots):
    section = family_entry(family).data_section
    assert section in (SwapData, PairData, RecognitionData)
    usual = section(name=name, root=str(roots[name]) if roots[name] else None, **switched)
    before = samples(family, usual)
    for setting, value in CHANGED.items():
        if setting.split('.')[0] not in section.model_fields:
            continue
        if setting == 'partition' and name == 'webcaricature' or setting == 'balanced' and name == 'folder':
            continue  # other partitions; refused without labels of drawings
        nested = parse_override(f'{setting}=null')
        key, inner = next(iter(nested.items()))
        change = {key: value} if inner is None else {key: {next(iter(inner)): value}}
        data = section(**merge(usual.model_dump(), change))
        if data == usual:
            continue
        if setting in data.ignored():
            assert alike(before, samples(family, data)), f'{setting} is refused but changes samples'
        else:
            assert not alike(before, samples(family, data)), f'{setting} is accepted but changes nothing'


class Reads:
    """Notes which fields of which config are read."""

    def __init__(self, monkeypatch):
        self.seen: set[tuple[type, str]] = set()
        own = Config.__getattribute__

        def noting(config, name):
            if not name.startswith(('_', 'model_')):
                self.seen.add((type(config), name))
            return own(config, name)

        monkeypatch.setattr(Config, '__getattribute__', noting)


def leaves(config: Config, place: str = '') -> Iterator[tuple[str, type, str]]:
    for name in type(config).model_fields:
        value = getattr(config, name)
        if isinstance(value, Config):
            yield from leaves(value, f'{place}{name}.')
        else:
            yield f'{place}{name}', type(config), name


@pytest.mark.parametrize('name', GENERATORS)
def test_every_model_setting_is_read_or_refused(name, monkeypatch):
    kind, schema = family_types(name)
    model = schema(**TINY[name][0])
    perception, size, draw = tiny_perception(), model.size, torch.Generator().manual_seed(0)
    first, second = torch.rand(2, 4, 3, size, size, generator=draw) * 2 - 1
    half = torch.arange(4) % 2 == 0
    labels, people = torch.ones(4, size, size, dtype=torch.int64), torch.arange(4)
    batch = PairBatch(first, second, half) if kind.batch is PairBatch else SwapBatch(
        first, second, half, labels, source_label=people, target_label=people)
    config = resolve(name, model.model_dump(), {}, [], FAMILIES[name].data_section)
    refused, expected = ignored_settings(config), list(leaves(model))
    with monkeypatch.context() as patch:
        reads = Reads(patch)
        family = build_family(name, model.model_dump(), perception)
        family.lr_scales()
        cache = {}
        for group in family.param_groups():
            family(group, batch, 0, cache)
            family.after_update(group)
        family.eval()
        family.panel(batch)
    unread = {place for place, owner, field in expected
              if (owner, field) not in reads.seen and field not in ('kind', 'weights')}
    assert unread <= {key.removeprefix('model.') for key in refused}, 'accepted but never read'
