"""scripts/sample_ilvr.py with a small untrained denoiser."""
import csv

import pytest
import torch

from experiments.training.state.checkpoint import save_family
from models.perception.build import load_embedder
from models.perception.encoders.embedder import Embedder
from models.pipelines.demo import demo_photo
from models.pipelines.io.images import read_image, write_image
from models.registry import build_family
from scripts import sample_ilvr
from tests.contract.stubs import ID_DIM, TinyEmbedder
from tests.models.stubs import FixedDetector, OvalParser, face_at, photo


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    torch.manual_seed(0)
    family = build_family('ddpm', {'size': 16, 'widths': (8, 16), 'attention': 1, 'tokens': 2, 'id_dim': ID_DIM}, None)
    path = tmp_path_factory.mktemp('weights') / 'family.safetensors'
    save_family(path, 'ddpm', family.state_dict(), family.config)
    return path


class TemplateOval(OvalParser):
    """OvalParser with the argument `template`."""

    def forward(self, images, *, template='face'):
        return super().forward(images)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of references: a photo in which the stub detector finds a face, and a drawing without a face."""
    torch.manual_seed(1)
    embedders = {'identity-mobilefacenet': Embedder(TinyEmbedder(), 'arcface')}
    monkeypatch.setattr(sample_ilvr, 'load_embedder', lambda name: embedders[name] if name in embedders else load_embedder(name))
    monkeypatch.setattr(sample_ilvr, 'load_parser', lambda name: TemplateOval())
    monkeypatch.setattr(sample_ilvr, 'build_detector', lambda *_: FixedDetector({(90, 120): [face_at(60, 45, 30)]}))
    write_image(tmp_path / 'refs' / 'face.png', photo(90, 120))
    write_image(tmp_path / 'refs' / 'drawing.jpg', photo(80, 80, seed=1))
    (tmp_path / 'refs' / 'notes.txt').write_text('no image')
    return tmp_path


@pytest.fixture
def run(folder, weights):
    """Runs the script with the given arguments and returns its exit status."""
    prefix = '--weights', weights, '-o', folder / 'out', '--device', 'cpu'
    return lambda *arguments: sample_ilvr.main([str(argument) for argument in (*prefix, *arguments)])


def test_samples_sheets_and_figures_are_written(run, folder, capsys):
    arguments = '--down', 4, '8:4', '--range', 0, 50, '--steps', 3, '--n', 2
    assert run('--ref', folder / 'refs', *arguments) == 0
    captured = capsys.readouterr()
    assert 'drawing: no face was found' in captured.err and 'face: no face' not in captured.err
    names = sorted(path.name for path in (folder / 'out').iterdir())
    assert len([name for name in names if name.startswith('face_down4_range0_')]) == 2
    assert len(names) == 2 * 4 * 2 + 2 + 3 and 'drawing_down8-4_range50_1.png' in names
    assert read_image(folder / 'out' / 'face_down4_range0_0.png').shape == (16, 16, 3)
    sheet = read_image(folder / 'out' / 'face_sheet.png')
    assert sheet.shape[1] > 5 * 192 and sheet.shape[0] > 3 * 192, 'reference and four settings; low-pass and two samples'
    rows = list(csv.DictReader((folder / 'out' / 'figures.csv').read_text().splitlines()))
    assert [row['name'] for row in rows] == ['down 4, range 0', 'down 4, range 50', 'down 8:4, range 0', 'down 8:4, range 50']
    assert all(float(row['faithfulness']) < 0.02 for row in rows if row['name'].endswith('range 0'))
    assert 'low-pass error' in captured.out and '<svg' in (folder / 'out' / 'figures.svg').read_text()


def test_defaults_require_a_reference_only(tmp_path, capsys):
    write_image(tmp_path / 'photo.png', demo_photo('portrait'))
    assert sample_ilvr.main(['--ref', str(tmp_path / 'photo.png'), '-o', str(tmp_path / 'out'), '--steps', '3', '--n', '1']) == 0
    assert 'no face' not in capsys.readouterr().err
    assert len(list((tmp_path / 'out').glob('photo_down*_0.png'))) == 4


def test_samples_repeat_by_seed_and_differ_by_setting(run, folder):
    arguments = '--ref', folder / 'refs' / 'face.png', '--down', 4, '--steps', 3, '--n', 1
    samples = []
    for more in ((), (), ('--seed', 1), ('--sampler', 'dpm++'), ('--published', '--steps', 4), ('--identity',),
                 ('--identity', folder / 'refs' / 'drawing.jpg', '--through', 'image'), ('--mask', 'inside')):
        assert run(*arguments, *more) == 0
        samples.append((folder / 'out' / 'face_down4_0.png').read_bytes())
    assert samples[0] == samples[1] and len(set(samples)) == len(samples) - 1


def test_references_are_mixed(run, folder):
    assert run('--ref', folder / 'refs', '--mix', 1, 2, '--down', 4, '--steps', 2, '--n', 1) == 0
    assert sorted(path.name for path in (folder / 'out').glob('*.png')) == ['mixture_down4_0.png', 'mixture_sheet.png']


@pytest.mark.parametrize('arguments, message', [
    (['--ref', 'absent.png'], 'is no file'),
    (['--down', '0.5'], 'the setting down'),
    (['--down', 'coarse'], 'the setting down'),
    (['--range', '120'], 'the setting until'),
    (['--mix', '1', '2', '3'], 'as many weights'),
    (['--weights', 'absent.pt'], 'absent.pt'),
    (['--encoder', 'unheard-of'], 'identity-mobilefacenet'),
])
def test_input_error_is_one_line(run, folder, capsys, arguments, message):
    assert run('--ref', folder / 'refs', *arguments) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith('sample_ilvr.py:')]
    assert len(errors) == 1 and message in errors[0]
