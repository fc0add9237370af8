"""Photos against caricatures: what the figures say, and who may not be measured."""
import importlib
import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from datasets.loaders import build_faces
from datasets.webcaricature import SETTINGS
from experiments.evaluation.protocols import webcaricature
from experiments.evaluation.protocols.webcaricature import Encoder, measure
from models.geometry import TEMPLATES
from models.perception.encoders.family import Recognizer, RecognizerConfig
from models.perception.encoders.files import encoder_bytes, identities_learned_from
from tests.datasets.layouts import write
from tests.datasets.webcaricatures import name_of, webcaricatures


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """Each person is a color; photo and drawing are alike."""
    root = webcaricatures(tmp_path_factory.mktemp('webcaricature'), size=32)
    colors = np.random.default_rng(0).integers(0, 255, (20, 3))
    for person, color in enumerate(colors):
        for path in (root / 'OriginalImages' / name_of(person)).iterdir():
            write(path, np.broadcast_to(color, (32, 32, 3)).astype(np.uint8), quality=95)
    return root


def colors(images):
    return F.avg_pool2d(images, 16).flatten(1)


def same_for_all(images):
    return torch.ones(len(images), 4)


def encoder(embed=colors, learned_from=(), name='it'):
    return Encoder(name, embed, TEMPLATES['face'].scaled(32), learned_from)


@pytest.mark.parametrize('view', [1, 2])
def test_who_sees_the_person_scores_full_and_who_sees_nothing_scores_nothing(root, view):
    faces = build_faces('webcaricature', root)
    seeing, blind = (measure(faces, [encoder(embed)], SETTINGS, view=view) for embed in (colors, same_for_all))
    for setting in ('restricted', 'unrestricted'):
        assert seeing.figures[setting]['auc'] == seeing.figures[setting]['tar_at_far_0.001'] == (1, 0)
        assert blind.figures[setting]['auc'] == (0.5, 0) and blind.figures[setting]['tar_at_far_0.01'] == (0, 0)
        assert (seeing.curves[setting][1] == 1).all()
    for setting in ('c2p', 'p2c'):
        assert seeing.figures[setting] == {'rank_1': (1, 0), 'rank_10': (1, 0)}
        assert blind.figures[setting]['rank_1'] == (0, 0)


def test_a_fold_is_measured_by_an_encoder_that_never_saw_its_people(root):
    faces = build_faces('webcaricature', root)
    knowing = encoder(learned_from=['identity_03'], name='a')
    with pytest.raises(ValueError, match='a was trained on 1 of the 2 people of fold 4 .identity 03'):
        measure(faces, [knowing], ['unrestricted'])
    asked = []

    def spied(images):
        asked.append(len(images))
        return colors(images)

    other = encoder(spied, [name for name in map(name_of, range(20)) if name[-1] != '3'], 'b')
    assert measure(faces, [knowing, other], ['unrestricted']).figures['unrestricted']['auc'] == (1, 0)
    assert sum(asked) == 8  # both people of fold 4, two images of each kind
    with pytest.raises(ValueError, match='b was trained on 2 of the 2 people of fold 1'):
        measure(faces, [other], ['p2c'])


def test_the_script_measures_a_file_and_refuses_one_that_knew_the_people(root, tmp_path, capsys, monkeypatch):
    torch.manual_seed(0)
    recognizer, files = Recognizer(RecognizerConfig(size=32, embedding=8, num_identities=2), None), {}
    for name, people in (('good', ['Somebody Else']), ('bad', ['identity 07']), ('mute', None)):
        files[name] = tmp_path / f'{name}.safetensors'
        files[name].write_bytes(encoder_bytes(recognizer, people))
        assert identities_learned_from(files[name]) == people
    script = importlib.import_module('scripts.evaluate')

    def run(*words):
        words = ['--protocol', 'webcaricature', '--root', root, '--device', 'cpu', '-o', tmp_path / 'out', *words]
        code = script.main([*map(str, words)])
        return code, capsys.readouterr()

    code, said = run('--encoder', files['good'], '--settings', *SETTINGS)
    assert code == 0 and 'rank_10' in said.out and 'restricted: accuracy' in said.out
    kept = json.loads((tmp_path / 'out/webcaricature/figures.json').read_text())
    assert set(kept) == {'encoders', 'view', *SETTINGS} and len(kept['unrestricted']['auc']) == 2
    drawn = (tmp_path / 'out/webcaricature/roc.svg').read_text()
    assert drawn.count('<g id="line-') == 2 and drawn.rstrip().endswith('</svg>')
    for name, message in (('bad', 'worthless'), ('mute', 'does not say whom it learned from')):
        code, said = run('--encoder', files[name])
        assert code == 2 and message in said.err and said.err.count('\n') == 1
    monkeypatch.setattr(webcaricature, 'identities_learned_from', {'identity-caricature': ['identity 07']}.get)
    code, said = run('--judge', 'identity-caricature')
    assert code == 2 and 'worthless' in said.err
