"""A full disk ends a command in one sentence; given again, it makes what it would have made undisturbed."""
import importlib
import shutil
import subprocess

import numpy as np
import pytest

from datasets import cache
from datasets.loaders import build_faces
from datasets.preparation import photos as preparation
from datasets.preparation.photos import prepare
from datasets.transforms.joint import face_frame
from models.pipelines.io.images import write_image
from models.storage.files import WriteError
from tests import kills
from tests.datasets import layouts
from tests.datasets.preparation.test_photos import Stub, photo
from tests.datasets.test_kills import labels_of, vectors_of

SIZE = 4 * 2 ** 20  # bytes of the small file system
LEVELS = [0, 4096, 16_384, 40_960, 102_400]  # bytes left free at the first attempt


@pytest.fixture
def disk(tmp_path):
    """A file system of SIZE bytes."""
    place = tmp_path / 'disk'
    place.mkdir()
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={SIZE}', 'tmpfs', place], capture_output=True).returncode:
        pytest.skip('mounting a small file system needs privileges')
    yield place
    subprocess.run(['umount', place], check=True)


def fill(disk, free):
    """Leave so many bytes free."""
    shutil.rmtree(disk / 'filler', ignore_errors=True)
    (disk / 'filler').mkdir()
    (disk / 'filler' / 'bytes').write_bytes(bytes(shutil.disk_usage(disk).free - free))


def works(tmp_path, faces, packed):
    return {'pack': lambda out: cache.pack(faces, out, face_frame(48)),
            'label': lambda out: cache.label(out, labels_of, batch=7),
            'embed': lambda out: cache.embed(out, 'mean', vectors_of, batch=7),
            'faces': lambda out: prepare(tmp_path / 'photos', out)}


@pytest.mark.parametrize('task', ['pack', 'label', 'embed', 'faces'])
def test_prepared_data(task, tmp_path, disk, monkeypatch):
    monkeypatch.setattr(preparation, 'build_detector', lambda name: Stub())
    faces = build_faces('celeba', layouts.celeba(tmp_path / 'celeba'))
    packed = cache.pack(faces, tmp_path / 'packed', face_frame(48)).root
    for number, name in enumerate(['anna/a.png', 'berta/a.png', 'dora__1.png']):
        photo(tmp_path / 'photos' / name, number)
    work, refused = works(tmp_path, faces, packed)[task], 0
    for out in (tmp_path / 'whole', *(disk / str(free) for free in LEVELS)):
        if task in ('label', 'embed'):
            shutil.copytree(packed, out)
        if out.parent == disk:
            fill(disk, int(out.name))
            try:
                work(out)
            except WriteError as error:
                refused += 1
                assert str(error).count('\n') == 0 and 'free some space' in str(error)
                assert not [path for path in disk.rglob('.*.tmp')]
            shutil.rmtree(disk / 'filler')
        work(out)
        assert kills.contents(out) == kills.contents(tmp_path / 'whole')
        if out.parent == disk:
            shutil.rmtree(out)
    assert refused >= 1


def test_scripts_say_how_much_is_needed_and_end_with_an_error(tmp_path, disk, capsys):
    script = importlib.import_module('scripts.prepare_data')
    layouts.celeba(tmp_path / 'celeba')
    command = ['pack', '--data', 'celeba', '--root', str(tmp_path / 'celeba'), '-o', str(disk / 'cache'), '--size', '320',
               '--workers', '0']
    assert script.main(command) == 2
    said = capsys.readouterr().err
    assert said.count('\n') == 1 and 'the cache needs 6 MB and 4 MB are free; free some space' in said
    assert [path for path in disk.rglob('*') if path.is_file()] == []


def test_an_export_that_does_not_fit_keeps_the_old_file(disk, capsys):
    script, file = importlib.import_module('scripts.export'), disk / 'swap.onnx'
    file.write_bytes(b'old')
    fill(disk, 8192)
    assert script.main(['--family', 'cvae', '-o', str(file)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[-1] == f'export.py: {file} cannot be written: the disk is full; free some space and run the command again'
    assert file.read_bytes() == b'old' and {path.name for path in disk.iterdir()} == {'swap.onnx', 'filler'}


def test_a_training_that_does_not_fit_says_so(disk, capsys):
    script = importlib.import_module('scripts.train')
    small = [f'--set={setting}' for setting in (
        'model.size=32', 'model.fold=2', 'model.widths=[8,16]', 'model.depth=1', 'data.batch=2', 'data.workers=0',
        'data.validation_batches=0', 'engine.precision=32-true', 'engine.accelerator=cpu')]
    fill(disk, 65_536)
    command = ['--family', 'cvae', '--steps', '1', '--out', str(disk / 'run'), *small]
    assert script.main(command) != 0
    said = capsys.readouterr().err
    assert 'free some space' in said and 'Traceback' not in said and 'None' not in said
    shutil.rmtree(disk / 'filler')
    assert script.main(['--resume', str(disk / 'run')]) == 0
    assert not list(disk.rglob('.*.tmp'))


def test_an_evaluation_that_does_not_fit_is_one_sentence_and_resumes(tmp_path, disk, capsys):
    script = importlib.import_module('scripts.evaluate')
    for row in range(4):
        write_image(tmp_path / 'images' / f'{row:06d}.png', np.full((48, 48, 3), 40 * row, np.uint8))
    command = ['--against', str(tmp_path / 'images'), '--count', '4', '--size', '48', '--device', 'cpu', '-o', str(disk / 'out')]
    fill(disk, 40_960)
    assert script.main(command) == 2
    messages = capsys.readouterr().err.splitlines()
    assert 'free some space' in messages[-1] and not any('Traceback' in line for line in messages)
    assert not list(disk.rglob('.*.tmp'))
    shutil.rmtree(disk / 'filler')
    assert script.main(command) == 0 and '| images |' in capsys.readouterr().out
    assert not list(disk.rglob('.*.tmp'))


def test_an_ablation_that_does_not_fit_is_one_sentence(disk, capsys):
    script = importlib.import_module('scripts.ablate')
    fill(disk, 0)
    assert script.main(['quick', '--steps', '1', '--runs', str(disk / 'runs'), '-o', str(disk / 'out')]) == 2
    messages = capsys.readouterr().err.splitlines()
    assert 'free some space' in messages[-1] and not any('Traceback' in line for line in messages)
    assert not list(disk.rglob('.*.tmp'))
