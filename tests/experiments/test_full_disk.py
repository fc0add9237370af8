"""Commands on a full disk: messages, and files after the disk has space again."""
import importlib
import shutil

import numpy as np
import pytest

from datasets import cache
from datasets.preparation import photos as preparation
from datasets.preparation.photos import prepare
from datasets.registry import build_faces
from datasets.transforms.joint import face_frame
from models.pipelines.io.images import write_image
from models.storage.files import WriteError
from tests import kills
from tests.datasets import layouts
from tests.datasets.preparation.test_photos import CodedDetector, photo
from tests.datasets.test_kills import labels_of, vectors_of
from tests.experiments.disks import fill, release

FREE_BYTES = [0, 4096, 16_384, 40_960, 102_400]  # at the first attempt


def preparations(tmp_path, faces):
    """Name -> function that fills a folder."""
    return {'pack': lambda out: cache.pack(faces, out, face_frame(48)),
            'label': lambda out: cache.label(out, labels_of, batch=7),
            'embed': lambda out: cache.embed(out, 'mean', vectors_of, batch=7),
            'faces': lambda out: prepare(tmp_path / 'photos', out)}


@pytest.mark.parametrize('name', ['pack', 'label', 'embed', 'faces'])
def test_prepared_data_equal_uninterrupted_ones(name, tmp_path, small_disk, monkeypatch):
    monkeypatch.setattr(preparation, 'build_detector', lambda name: CodedDetector())
    faces = build_faces('celeba', layouts.celeba(tmp_path / 'celeba'))
    packed = cache.pack(faces, tmp_path / 'packed', face_frame(48)).root
    for number, file in enumerate(['anna/a.png', 'berta/a.png', 'dora__1.png']):
        photo(tmp_path / 'photos' / file, number)
    work, refused = preparations(tmp_path, faces)[name], 0
    for out in (tmp_path / 'uninterrupted', *(small_disk / str(free) for free in FREE_BYTES)):
        if name in ('label', 'embed'):
            shutil.copytree(packed, out)
        if out.parent == small_disk:
            fill(small_disk, int(out.name))
            try:
                work(out)
            except WriteError as error:
                refused += 1
                assert str(error).count('\n') == 0 and 'free some space' in str(error)
                assert not [path for path in small_disk.rglob('.*.tmp')]
            release(small_disk)
        work(out)
        assert kills.contents(out) == kills.contents(tmp_path / 'uninterrupted')
        if out.parent == small_disk:
            shutil.rmtree(out)
    assert refused >= 1


def test_packing_states_the_required_space(tmp_path, small_disk, capsys):
    script = importlib.import_module('scripts.prepare_data')
    layouts.celeba(tmp_path / 'celeba')
    command = ['pack', '--data', 'celeba', '--root', str(tmp_path / 'celeba'), '-o', str(small_disk / 'cache'), '--size', '320',
               '--workers', '0']
    assert script.main(command) == 2
    message = capsys.readouterr().err
    assert message.count('\n') == 1 and 'the cache needs 6 MB and 4 MB are free; free some space' in message
    assert [path for path in small_disk.rglob('*') if path.is_file()] == []


def test_export_keeps_the_old_file(small_disk, capsys):
    script, file = importlib.import_module('scripts.export'), small_disk / 'swap.onnx'
    file.write_bytes(b'old')
    fill(small_disk, 8192)
    assert script.main(['--family', 'cvae', '-o', str(file)]) == 2
    messages = capsys.readouterr().err.splitlines()
    assert messages[-1] == f'export.py: {file} cannot be written: the disk is full; free some space and run the command again'
    assert file.read_bytes() == b'old' and {path.name for path in small_disk.iterdir()} == {'swap.onnx', 'filler'}


def test_training_fails_in_one_sentence_and_resumes(small_disk, capsys):
    script = importlib.import_module('scripts.train')
    settings = [f'--set={setting}' for setting in (
        'model.size=32', 'model.fold=2', 'model.widths=[8,16]', 'model.depth=1', 'data.batch=2', 'data.workers=0',
        'data.validation_batches=0', 'engine.precision=32-true', 'engine.accelerator=cpu')]
    fill(small_disk, 65_536)
    command = ['--family', 'cvae', '--steps', '1', '--out', str(small_disk / 'run'), *settings]
    assert script.main(command) != 0
    message = capsys.readouterr().err
    assert 'free some space' in message and 'Traceback' not in message and 'None' not in message
    release(small_disk)
    assert script.main(['--resume', str(small_disk / 'run')]) == 0
    assert not list(small_disk.rglob('.*.tmp'))


def test_evaluation_fails_in_one_sentence_and_resumes(tmp_path, small_disk, capsys):
    script = importlib.import_module('scripts.evaluate')
    for row in range(4):
        write_image(tmp_path / 'images' / f'{row:06d}.png', np.full((48, 48, 3), 40 * row, np.uint8))
    command = ['--against', str(tmp_path / 'images'), '--count', '4', '--size', '48', '--device', 'cpu',
               '-o', str(small_disk / 'out')]
    fill(small_disk, 40_960)
    assert script.main(command) == 2
    messages = capsys.readouterr().err.splitlines()
    assert 'free some space' in messages[-1] and not any('Traceback' in line for line in messages)
    assert not list(small_disk.rglob('.*.tmp'))
    release(small_disk)
    assert script.main(command) == 0 and '| images |' in capsys.readouterr().out
    assert not list(small_disk.rglob('.*.tmp'))


def test_ablation_fails_in_one_sentence(small_disk, capsys):
    script = importlib.import_module('scripts.ablate')
    fill(small_disk, 0)
    assert script.main(['quick', '--steps', '1', '--runs', str(small_disk / 'runs'), '-o', str(small_disk / 'out')]) == 2
    messages = capsys.readouterr().err.splitlines()
    assert 'free some space' in messages[-1] and not any('Traceback' in line for line in messages)
    assert not list(small_disk.rglob('.*.tmp'))
