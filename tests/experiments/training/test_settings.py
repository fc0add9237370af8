"""A setting changes something or is refused."""
import importlib
from collections.abc import Iterator
from dataclasses import fields

import pytest
import torch
import yaml

from configs.base import Config
from configs.resolve import PRESETS, merge, parse_override, read_preset, resolve
from configs.schema import DataConfig
from datasets.loaders import build_samples
from datasets.samples.identities import build_people
from datasets.settings import ignored_data
from datasets.transforms.matching import Matching
from experiments.training.settings import ignored_settings, started
from models.batch import CauseBatch, FaceBatch, PairBatch, ParsingBatch, SwapBatch
from models.geometry import TEMPLATES
from models.perception.causes import CauseTrainingConfig
from models.perception.encoders.family import RecognizerConfig
from models.perception.parsers.family import ParserTrainingConfig
from models.registry import FAMILIES, build_family, family_types
from tests.contract.stubs import tiny_perception
from tests.contract.test_family import TINY
from tests.datasets.layouts import folders, image, write
from tests.datasets.webcaricatures import webcaricatures


@pytest.mark.parametrize(('family', 'override', 'reason'), [
    ('cgan', 'data.crops=1', 'photos and drawings on disk'),
    ('cgan', 'data.exaggerate=2', 'the training of an encoder'),
    ('cgan', 'data.balanced=true', 'the training of an encoder'),
    ('cgan', 'data.matching.space=hsv', 'photos and drawings on disk'),
    ('cgan', 'data.matching.ratio=0.5', 'data.matching.space'),
    ('cgan', 'data.root=faces', 'a data set on disk'),
    ('cgan', 'data.augment=false', 'on disk'),
    ('cgan', 'model.threshold=0.5', 'model.id_loss_form=hinge'),
    ('cgan', 'model.generator.size=32', 'model.size holds'),
    ('cgan', 'perception.vgg=vgg19', 'a loss or a condition'),
    ('cgan', 'param_groups.discriminator.floor=0.5', 'schedule=linear or cosine'),
    ('ddpm', 'model.jitter=0.1', 'not trained with it'),
    ('ddpm', 'model.blend=0.5', 'not trained with it'),
    ('ddpm', 'model.sampling.until=0.5', 'down above 0'),
    ('ddpm', 'perception.distillation_teacher=cvae', 'a loss or a condition'),
    ('cut', 'data.same_ratio=0.1', 'a family that swaps faces'),
    ('cyclegan', 'perception.teacher=mobilefacenet-068', 'a loss or a condition'),
    ('cyclegan', 'model.clip=0.1', 'model.adversary=wgan'),
    ('cvae', 'engine.best_is=max', 'engine.best'),
])
def test_a_setting_that_would_be_ignored_is_refused_before_the_run_begins(family, override, reason, tmp_path, capsys):
    script = importlib.import_module('scripts.train')
    assert script.main(['--family', family, '--steps', '1', '--set', override, '--out', str(tmp_path / 'run')]) == 2
    said = capsys.readouterr().err
    name = override.partition('=')[0]
    assert said.startswith(f'train.py: {name}=') and reason in said and said.count('\n') == 1
    assert not list(tmp_path.iterdir())


def test_what_one_setting_switches_on_another_may_set():
    kind, schema = family_types('cgan')
    overrides = [parse_override(text) for text in ('model.id_loss_form=hinge', 'model.threshold=0.5', 'engine.ema_from=0.5')]
    config = started('cgan', schema, kind.batch, 'cgan', overrides)
    assert config.model['threshold'] == 0.5 and config.engine.ema_from == 0.5


def test_a_setting_of_a_preset_that_an_override_leaves_without_effect_is_at_its_default():
    kind, schema = family_types('cgan')
    config = started('cgan', schema, kind.batch, 'cgan', [parse_override('data.validation_batches=0')])
    assert read_preset('cgan')['engine']['validate_every'] != config.engine.validate_every == 500


OTHERS = {'recognizer': (RecognizerConfig, FaceBatch), 'parser': (ParserTrainingConfig, ParsingBatch),
          'causes': (CauseTrainingConfig, CauseBatch)}


@pytest.mark.parametrize('name', sorted(path.stem for path in PRESETS.glob('*.yaml')))
def test_presets_hold_nothing_that_their_data_ignore(name, tmp_path):
    content = read_preset(name)
    if '--data unpaired' in (PRESETS / f'{name}.yaml').read_text():
        content = {**content, 'data': {**content.get('data', {}), 'name': 'unpaired', 'root': 'images'}}
    family = content['family']
    kind = OTHERS.get(family) or family_types(family)[::-1]
    schema, batch = kind[0], kind[1] if family in OTHERS else kind[1].batch
    path = tmp_path / f'{name}.yaml'  # as somebody's own file, which is checked against the defaults
    path.write_text(yaml.safe_dump(content))
    assert started(family, schema, batch, str(path), []).family == family


@pytest.fixture(scope='module')
def roots(tmp_path_factory):
    root = tmp_path_factory.mktemp('data')
    for number in range(24):
        write(root / 'unpaired' / ('trainA', 'trainB')[number % 2] / f'p{number // 2}__0.png', image(number))
    return {'synthetic': None, 'folder': folders(root / 'folder', people=40, each=2), 'unpaired': root / 'unpaired',
            'webcaricature': webcaricatures(root / 'webcaricature', people=12, size=32)}


CHANGED = {'partition': 'validation', 'same_ratio': 0.0, 'augment': False, 'crops': 1.0, 'balanced': True, 'exaggerate': 1.5,
           'matching.space': 'rgb', 'matching.to_a': 1.0, 'matching.ratio': 0.3}


def samples(batch: type, data: DataConfig, root):
    """The first training samples of a data set, as train.py or train_identity.py make them."""
    if batch is FaceBatch:
        faces = build_people(data.name, root, TEMPLATES['arcface'].scaled(32), data.partition, augment=data.augment,
                             balanced=data.balanced, exaggerate=data.exaggerate)
        return [faces.batch([(0, index)]) if data.balanced and hasattr(faces, 'batch') else faces[0, index]
                for index in range(min(6, len(faces)))]
    found = build_samples(batch, data.name, root, 32, data.partition, same_ratio=data.same_ratio, augment=data.augment,
                          crops=data.crops, matching=Matching(**data.matching.model_dump()))
    return [found[0, index] for index in range(min(6, len(found)))]


def alike(first: list, second: list) -> bool:
    def values(found):
        return [getattr(sample, field.name) for sample in found for field in fields(sample)]

    return all(torch.equal(a, b) if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) else a is b
               for a, b in zip(values(first), values(second), strict=True)) if len(first) == len(second) else False


@pytest.mark.parametrize(('batch', 'name', 'switched'), [
    (SwapBatch, 'synthetic', {}), (SwapBatch, 'folder', {}), (PairBatch, 'synthetic', {}), (PairBatch, 'unpaired', {}),
    (PairBatch, 'unpaired', {'matching': {'space': 'hsv'}}), (PairBatch, 'unpaired', {'augment': False}),
    (FaceBatch, 'synthetic', {}), (FaceBatch, 'folder', {}), (FaceBatch, 'webcaricature', {'partition': 'verification-1'}),
], ids=str)
def test_every_data_setting_changes_samples_or_is_refused(batch, name, switched, roots):
    usual = DataConfig(name=name, root=str(roots[name]) if roots[name] else None, **switched)
    before = samples(batch, usual, roots[name])
    for setting, value in CHANGED.items():
        if setting == 'partition' and name == 'webcaricature' or setting == 'balanced' and name == 'folder':
            continue  # partitions of its own; it is refused where photos and drawings are not told apart
        nested = parse_override(f'{setting}=null')
        key, inner = next(iter(nested.items()))
        change = {key: value} if inner is None else {key: {next(iter(inner)): value}}
        data = DataConfig(**merge(usual.model_dump(), change))
        if data == usual:
            continue
        if setting in ignored_data(batch, data):
            assert alike(before, samples(batch, data, roots[name])), f'{setting} is refused but changes samples'
        else:
            assert not alike(before, samples(batch, data, roots[name])), f'{setting} is accepted but changes nothing'


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


@pytest.mark.parametrize('name', FAMILIES)
def test_every_model_setting_is_read_or_refused(name, monkeypatch):
    kind, schema = family_types(name)
    model = schema(**TINY[name][0])
    perception, size, draw = tiny_perception(), model.size, torch.Generator().manual_seed(0)
    first, second = torch.rand(2, 4, 3, size, size, generator=draw) * 2 - 1
    half = torch.arange(4) % 2 == 0
    labels, people = torch.ones(4, size, size, dtype=torch.int64), torch.arange(4)
    batch = PairBatch(first, second, half) if kind.batch is PairBatch else SwapBatch(
        first, second, half, labels, source_label=people, target_label=people)
    config = resolve(name, model.model_dump(), {}, [])
    refused, expected = ignored_settings(config, schema, kind.batch), list(leaves(model))
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
