"""Face swaps in single photos by scripts/swap.py, with a stub for the trained family."""
import hashlib

import numpy as np
import pytest
import torch
from PIL import Image

from models import weights_table
from models.pipelines.demo import demo_photo
from models.pipelines.io.images import read_image
from models.pipelines.io.provenance import inspect
from scripts import swap
from tests.models.stubs import OvalParser, perception
from tests.scripts.swap.conftest import WEIGHTS


def test_swap_changes_face_pixels_only(run, stub_family, photos, tmp_path, capsys):
    stub_family(lambda batch: torch.ones_like(batch.target))
    output = tmp_path / 'new' / 'out.png'
    assert run('--source', photos / 'portrait.png', '--target', photos / 'astronaut.png', '-o', output, '--no-color') == 0
    before, after = demo_photo('astronaut'), read_image(output)
    assert after.shape == before.shape and (after[115:125, 220:230] == 255).all()
    changed = (after != before).any(2)
    assert 0.005 < changed.mean() < 0.06 and not changed[:, :170].any() and not changed[:, 290:].any()
    assert capsys.readouterr().out.strip() == str(output)


def test_exif_orientation_is_applied(run, stub_family, photos, tmp_path):
    stub_family(lambda batch: batch.target)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.ascontiguousarray(np.rot90(demo_photo('astronaut')))).save(tmp_path / 'turned.png', exif=exif)
    assert run('--source', photos / 'portrait.png', '--target', tmp_path / 'turned.png', '-o', tmp_path / 'out.png') == 0
    assert np.abs(read_image(tmp_path / 'out.png').astype(int) - demo_photo('astronaut')).mean() < 0.2


def test_largest_of_several_target_faces_is_noted(run, stub_family, photos, tmp_path, capsys):
    stub_family(lambda batch: batch.target)
    arguments = ['--source', photos / 'portrait.png', '--target', photos / 'group.png', '-o', tmp_path / 'out.jpg']
    assert run(*arguments) == 0
    assert '6 faces' in capsys.readouterr().err
    assert run(*arguments, '--face', 'all') == 0
    assert capsys.readouterr().err == ''


@pytest.mark.parametrize('source, target, more, message', [
    ('empty.png', 'astronaut.png', [], 'no face was found in the source'),
    ('portrait.png', 'empty.png', [], 'no face was found in the target'),
    ('group.png', 'astronaut.png', [], 'source shows 6 faces'),
    ('portrait.png', 'group.png', ['--face', '6'], 'is no face of the target'),
    ('absent.png', 'astronaut.png', [], 'is no file'),
    ('portrait.png', 'notes.png', [], 'is no image'),
    ('portrait.png', 'astronaut.png', ['-o', 'out.doc'], 'does not end in'),
])
def test_input_error_is_one_line(run, stub_family, photos, tmp_path, capsys, source, target, more, message):
    stub_family(lambda batch: batch.target)
    (photos / 'notes.png').write_text('no image')
    assert run('--source', photos / source, '--target', photos / target, '-o', tmp_path / 'out.png', *more) == 2
    error = capsys.readouterr().err.strip()
    assert message in error and '\n' not in error
    assert not (tmp_path / 'out.png').exists()


def test_missing_weights_error_is_one_line(run, photos, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(weights_table, 'ZOO', tmp_path)
    monkeypatch.setattr(swap, 'build_perception', lambda *names, **named: perception(OvalParser()))
    assert run('--source', photos / 'portrait.png', '--target', photos / 'astronaut.png', '-o', tmp_path / 'out.png') == 2
    error = capsys.readouterr().err.strip()
    assert 'cgan.safetensors' in error and '\n' not in error


def test_credentials_label_and_debug_image_are_written(run, stub_family, photos, tmp_path):
    stub_family(lambda batch: torch.ones_like(batch.target))
    arguments = ['--source', photos / 'portrait.png', '--target', photos / 'astronaut.png', '-o', tmp_path / 'out.jpg']
    assert run(*arguments, '--mark', '--debug') == 0
    credentials = inspect(tmp_path / 'out.jpg')
    info = credentials.generation_info
    assert credentials.intact and credentials.signed_locally and info.model == 'cgan' and 'replaced' in info.description
    assert info.weights == {'stub.safetensors': hashlib.sha256(WEIGHTS).hexdigest()}
    labeled, before = read_image(tmp_path / 'out.jpg'), demo_photo('astronaut')
    assert (labeled[-30:, -80:].astype(int) - before[-30:, -80:]).std() > 30
    debug = read_image(tmp_path / 'out.debug.png')
    height, width = before.shape[:2]
    assert debug.shape == (height, 3 * width, 3) and inspect(tmp_path / 'out.debug.png').intact
    assert debug[120, 2 * width + 225, 0] == 255 and not debug[:50, 2 * width:].any(), 'mask of changed pixels'
    assert run(*arguments, '--no-provenance') == 0
    assert not inspect(tmp_path / 'out.jpg').present


def test_identity_list_assigns_sources(run, stub_family, photos, tmp_path):
    stub_family(lambda batch: torch.ones_like(batch.target))
    (photos / 'identities.csv').write_text('reference,source\nastronaut.png,portrait.png\n')
    arguments = ['--identities', photos / 'identities.csv', '--target', photos / 'astronaut.png', '--no-color']
    assert run(*arguments, '-o', tmp_path / 'out.png') == 0
    assert (read_image(tmp_path / 'out.png')[115:125, 220:230] == 255).all()


@pytest.mark.parametrize('rows, message', [('reference,other\na,b\n', 'reference and source'),
                                           ('reference,source\nabsent.png,a.png\n', 'no file')])
def test_malformed_identity_list_error_is_one_line(run, stub_family, photos, tmp_path, capsys, rows, message):
    stub_family(lambda batch: batch.target)
    (photos / 'malformed.csv').write_text(rows)
    assert run('--identities', photos / 'malformed.csv', '--target', photos / 'astronaut.png', '-o', tmp_path / 'out.png') == 2
    error = capsys.readouterr().err.strip()
    assert message in error and '\n' not in error


def test_byte_order_mark_of_identity_list_is_skipped(run, stub_family, cases, tmp_path):
    stub_family(lambda batch: batch.target)
    assert (cases / 'people-bom.csv').read_bytes().startswith(b'\xef\xbb\xbf')
    assert run('--identities', cases / 'people-bom.csv', '--target', cases / 'face.jpg', '-o', tmp_path / 'out.png') == 0


def reddish(batch):
    image = torch.full_like(batch.target, -0.5)
    image[:, 0] = 0.8
    return image


def test_grayscale_target_stays_grayscale(run, stub_family, cases, tmp_path):
    stub_family(reddish)
    for name, options in (('out.png', ('--no-color',)), ('out.jpg', ())):
        assert run('--source', cases / 'face.jpg', '--target', cases / 'gray.jpg', '-o', tmp_path / name, *options) == 0
        before, after = read_image(cases / 'gray.jpg'), read_image(tmp_path / name)
        assert (after == after[..., :1]).all() and (after != before).any(2).mean() > 0.02
    assert run('--source', cases / 'face.jpg', '--target', cases / 'face.jpg', '-o', tmp_path / 'out.png', '--no-color') == 0
    assert np.ptp(read_image(tmp_path / 'out.png')[120:130, 115:125], 2).min() > 100, 'color target'


def test_alpha_and_color_profile_are_kept(run, stub_family, cases, tmp_path):
    stub_family(lambda batch: torch.ones_like(batch.target))
    for name in ('alpha.png', 'wide-gamut.jpg', 'gray16.png'):
        assert run('--source', cases / 'face.jpg', '--target', cases / name, '-o', tmp_path / 'out.png', '--no-color') == 0
        with Image.open(cases / name) as before, Image.open(tmp_path / 'out.png') as after:
            assert after.info.get('icc_profile') == before.info.get('icc_profile')
            if name == 'alpha.png':
                assert (np.array(after)[..., 3] == np.array(before)[..., 3]).all()
        assert inspect(tmp_path / 'out.png').intact
        assert (read_image(tmp_path / 'out.png')[85:165, 85:165] > 250).all(2).mean() > 0.4, 'swapped face'


def test_first_frame_of_animated_source_is_noted(run, stub_family, cases, tmp_path, capsys):
    stub_family(lambda batch: batch.target)
    assert run('--source', cases / 'animated.gif', '--target', cases / 'face.jpg', '-o', tmp_path / 'out.png') == 0
    assert 'animated.gif is animated' in capsys.readouterr().err


def test_input_is_replaced_with_overwrite_only(run, stub_family, cases, capsys):
    batch_sizes = stub_family(lambda batch: torch.ones_like(batch.target))
    arguments = '--source', cases / 'drawn-source.jpg', '--target', cases / 'face.jpg'
    for name in ('face.jpg', 'drawn-source.jpg'):
        before = (cases / name).read_bytes()
        assert run(*arguments, '-o', cases / name) == 2
        assert f'{name} would replace the input' in capsys.readouterr().err
        assert (cases / name).read_bytes() == before and not batch_sizes
    assert run(*arguments, '-o', cases / 'face.jpg', '--overwrite', '--no-color') == 0
    assert (read_image(cases / 'face.jpg')[85:165, 85:165] > 240).all(2).mean() > 0.4


def test_signing_error_precedes_generation(run, stub_family, photos, tmp_path, monkeypatch, capsys):
    batch_sizes = stub_family(lambda batch: batch.target)
    (tmp_path / 'file').write_text('no folder')
    monkeypatch.setenv('XDG_CONFIG_HOME', str(tmp_path / 'file'))
    arguments = '--source', photos / 'portrait.png', '--target', photos / 'astronaut.png', '-o', tmp_path / 'out.png'
    assert run(*arguments) == 2
    error = capsys.readouterr().err.strip()
    assert 'XDG_CONFIG_HOME' in error and '\n' not in error and not batch_sizes and not (tmp_path / 'out.png').exists()
    assert run(*arguments, '--provenance', 'if-possible') == 0
    assert 'note: no Content Credentials' in capsys.readouterr().err and not inspect(tmp_path / 'out.png').present
    assert run(*arguments, '--provenance', 'off') == 0 and capsys.readouterr().err == ''


def test_write_error_precedes_generation(run, stub_family, photos, tmp_path, capsys):
    batch_sizes = stub_family(lambda batch: batch.target)
    (tmp_path / 'file').write_text('no folder')
    for output in (tmp_path / 'file' / 'out.png', tmp_path / f'{"x" * 300}.png'):
        assert run('--source', photos / 'portrait.png', '--target', photos / 'astronaut.png', '-o', output) == 2
        error = capsys.readouterr().err.strip()
        assert 'cannot be written' in error and '\n' not in error and not batch_sizes
