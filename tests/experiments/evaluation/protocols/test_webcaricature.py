"""Recognition of photos against caricatures: metrics, choice of encoders by fold, the command."""
import importlib
import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from datasets.registry import build_faces
from datasets.webcaricature import SETTINGS
from experiments.evaluation.protocols import webcaricature
from experiments.evaluation.protocols.webcaricature import Encoder, measure
from models.geometry import TEMPLATES
from models.perception.encoder_files import encoder_bytes, training_identities
from models.perception.encoders.family import Recognizer, RecognizerConfig
from tests.datasets.layouts import write
from tests.datasets.webcaricatures import name_of, webcaricatures


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """A data set in which the images of an identity have one color."""
    root = webcaricatures(tmp_path_factory.mktemp('webcaricature'), size=32)
    for identity, color in enumerate(np.random.default_rng(0).integers(0, 255, (20, 3))):
        for path in (root / 'OriginalImages' / name_of(identity)).iterdir():
            write(path, np.broadcast_to(color, (32, 32, 3)).astype(np.uint8), quality=95)
    return root


def embed_color(images):
    return F.avg_pool2d(images, 16).flatten(1)


def embed_constant(images):
    return torch.ones(len(images), 4)


def encoder(embed=embed_color, training_identities=(), name='encoder'):
    return Encoder(name, embed, TEMPLATES['face'].scaled(32), training_identities)


@pytest.mark.parametrize('view', [1, 2])
def test_metrics_of_a_perfect_and_of_a_constant_encoder(root, view):
    faces = build_faces('webcaricature', root)
    perfect, constant = (measure(faces, [encoder(embed)], SETTINGS, view=view) for embed in (embed_color, embed_constant))
    for setting in ('restricted', 'unrestricted'):
        assert perfect.figures[setting]['auc'] == perfect.figures[setting]['tar_at_far_0.001'] == (1, 0)
        assert constant.figures[setting]['auc'] == (0.5, 0) and constant.figures[setting]['tar_at_far_0.01'] == (0, 0)
        assert (perfect.curves[setting][1] == 1).all()
    for setting in ('c2p', 'p2c'):
        assert perfect.figures[setting] == {'rank_1': (1, 0), 'rank_10': (1, 0)}
        assert constant.figures[setting]['rank_1'] == (0, 0)


def test_a_fold_is_measured_by_an_encoder_independent_of_it(root):
    faces = build_faces('webcaricature', root)
    first = encoder(training_identities=['identity_03'], name='a')
    with pytest.raises(ValueError, match='a was trained on 1 of the 2 identities of fold 4, such as identity 03'):
        measure(faces, [first], ['unrestricted'])
    batch_sizes = []

    def recorded(images):
        batch_sizes.append(len(images))
        return embed_color(images)

    second = encoder(recorded, [name for name in map(name_of, range(20)) if name[-1] != '3'], 'b')
    assert measure(faces, [first, second], ['unrestricted']).figures['unrestricted']['auc'] == (1, 0)
    assert sum(batch_sizes) == 8  # two identities of fold 4, two images of each kind
    with pytest.raises(ValueError, match='b was trained on 2 of the 2 identities of fold 1'):
        measure(faces, [second], ['p2c'])


@pytest.fixture
def files(tmp_path):
    """Encoder files with training identities outside of the data set, with one of the data set, and without a list."""
    torch.manual_seed(0)
    recognizer, files = Recognizer(RecognizerConfig(size=32, embedding=8, num_identities=2), None), {}
    for name, identities in (('independent', ['Somebody Else']), ('overlapping', ['identity 07']), ('without list', None)):
        files[name] = tmp_path / f'{name}.safetensors'
        files[name].write_bytes(encoder_bytes(recognizer, identities))
        assert training_identities(files[name]) == identities
    return files


@pytest.fixture
def run(root, tmp_path, capsys):
    script = importlib.import_module('scripts.evaluate')

    def run(*arguments):
        arguments = ['--protocol', 'webcaricature', '--root', root, '--device', 'cpu', '-o', tmp_path / 'out', *arguments]
        code = script.main([*map(str, arguments)])
        return code, capsys.readouterr()
    return run


def test_the_command_writes_figures_and_curves(run, files, tmp_path):
    code, output = run('--encoder', files['independent'], '--settings', *SETTINGS)
    assert code == 0 and 'rank_10' in output.out and 'restricted: accuracy' in output.out
    figures = json.loads((tmp_path / 'out/webcaricature/figures.json').read_text())
    assert set(figures) == {'encoders', 'view', *SETTINGS} and len(figures['unrestricted']['auc']) == 2
    plot = (tmp_path / 'out/webcaricature/roc.svg').read_text()
    assert plot.count('<g id="line-') == 2 and plot.rstrip().endswith('</svg>')


@pytest.mark.parametrize(('name', 'message'), [('overlapping', 'was trained on 1 of'),
                                               ('without list', 'does not list the identities')])
def test_the_command_refuses_dependent_encoder_files(run, files, name, message):
    code, output = run('--encoder', files[name])
    assert code == 2 and message in output.err and output.err.count('\n') == 1


def test_the_command_refuses_a_dependent_published_encoder(run, monkeypatch):
    monkeypatch.setattr(webcaricature, 'training_identities', {'identity-caricature': ['identity 07']}.get)
    code, output = run('--judge', 'identity-caricature')
    assert code == 2 and 'was trained on 1 of' in output.err
