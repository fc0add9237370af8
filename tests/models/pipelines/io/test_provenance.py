"""What is written says that it was made, and a change of it is noticed."""
import sys

import cv2
import numpy as np
import pytest

from models.pipelines.io import certificates
from models.pipelines.io.images import read_image, write_image
from models.pipelines.io.provenance import (
    GENERATED_MEDIA,
    GenerationInfo,
    ProvenanceError,
    check_signing,
    inspect,
    resolve_signing,
    sign,
)
from models.pipelines.io.visible_label import with_visible_label
from scripts import provenance as script
from tests.models.stubs import photo

KINDS = ('.png', '.jpg', '.mp4')
MAKING = GenerationInfo('cvae', {'cvae.safetensors': '0123456789abcdef' * 4}, 'one face was replaced')


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Folders of its own for each test: no certificate is there yet."""
    monkeypatch.setenv('FACE_WEIGHTS_DIR', str(tmp_path / 'weights'))
    monkeypatch.setenv('XDG_CONFIG_HOME', str(tmp_path / 'config'))
    return tmp_path / 'config' / 'face-swap-suite'


@pytest.fixture
def signed(tmp_path):
    """A signed file by its ending."""
    def make(ending: str, generation_info: GenerationInfo = MAKING):
        path = tmp_path / f'made{ending}'
        if ending != '.mp4':
            write_image(path, photo(60, 80), generation_info)
            return path
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), 10, (80, 60))
        for seed in range(4):
            writer.write(photo(60, 80, seed))
        writer.release()
        sign(path, generation_info)
        return path
    return make


@pytest.mark.parametrize('ending', KINDS)
def test_a_file_says_how_it_was_made(signed, ending, capsys):
    path = signed(ending)
    found = inspect(path)
    assert found.intact and found.signed_locally and found.generation_info == MAKING and found.title == path.name
    assert found.source_type == 'compositeWithTrainedAlgorithmicMedia'
    assert script.main([str(path)]) == 0
    said = capsys.readouterr().out
    for word in ('intact', 'on this machine', 'in part', 'cvae', MAKING.weights['cvae.safetensors'], MAKING.description):
        assert word in said


@pytest.mark.parametrize('ending', KINDS)
def test_one_changed_byte_is_noticed(signed, ending, capsys):
    path = signed(ending)
    data = bytearray(path.read_bytes())
    data[data.rindex(b'mdat') + 100 if ending == '.mp4' else -60] ^= 1
    path.write_bytes(data)
    found = inspect(path)
    assert not found.intact and any('mismatch' in code for code in found.problems)
    assert script.main([str(path)]) == 1 and 'CHANGED' in capsys.readouterr().out


def test_changed_words_of_the_credentials_are_noticed(signed):
    path = signed('.jpg')
    data = path.read_bytes()
    assert data.count(b'one face was replaced') >= 2
    path.write_bytes(data.replace(b'one face was replaced', b'no face was replaced.'))
    assert not inspect(path).intact


def test_images_look_the_same_with_credentials(signed):
    np.testing.assert_array_equal(read_image(signed('.png')), photo(60, 80))


def test_no_credentials_are_no_proof_of_anything(tmp_path, signed, capsys):
    write_image(tmp_path / 'plain.png', photo(60, 80))
    assert not inspect(tmp_path / 'plain.png').present
    write_image(tmp_path / 'stripped.png', read_image(signed('.png')))
    assert not inspect(tmp_path / 'stripped.png').present
    assert script.main([str(tmp_path / 'plain.png'), str(tmp_path / 'made.png')]) == 1
    said = capsys.readouterr().out
    assert 'no Content Credentials' in said and 'intact' in said


def test_the_key_is_made_once_and_for_its_owner_only(signed, home):
    signed('.png')
    key = home / 'provenance' / 'key.pem'
    assert key.stat().st_mode & 0o777 == 0o600
    assert [folder.stat().st_mode & 0o777 for folder in (key.parent, home)] == [0o700, 0o700]
    before = key.read_bytes()
    signed('.jpg')
    assert key.read_bytes() == before and [path.name for path in home.iterdir()] == ['provenance']


def test_a_key_among_the_weights_moves_to_the_users_settings(signed, home, tmp_path):
    path = signed('.png')
    (tmp_path / 'weights').mkdir()
    key = (home / 'provenance' / 'key.pem').read_bytes()
    (home / 'provenance').rename(tmp_path / 'weights' / 'provenance')
    assert inspect(path).signed_locally, 'before it is moved'
    signed('.jpg')
    assert inspect(path).signed_locally and not (tmp_path / 'weights' / 'provenance').exists()
    assert (home / 'provenance' / 'key.pem').read_bytes() == key
    assert (home / 'provenance' / 'key.pem').stat().st_mode & 0o777 == 0o600


def test_another_machines_signature_is_intact_but_not_ours(signed, tmp_path, monkeypatch, capsys):
    path = signed('.png', GenerationInfo('cyclegan', {}, 'drawn', GENERATED_MEDIA))
    for home in ('none', 'other'):
        monkeypatch.setenv('XDG_CONFIG_HOME', str(tmp_path / home))
        found = inspect(path)
        assert found.intact and not found.signed_locally and found.source_type == 'trainedAlgorithmicMedia'
        certificates.certificate_folder()  # from now on the machine has another one
    assert script.main([str(path)]) == 0 and 'does not know' in capsys.readouterr().out


def test_what_cannot_be_read_is_one_sentence(tmp_path, capsys):
    (tmp_path / 'notes.txt').write_text('no image')
    for name, word in (('absent.png', 'no file'), ('notes.txt', 'does not end in')):
        assert script.main([str(tmp_path / name)]) == 2
        said = capsys.readouterr().err.strip()
        assert word in said and '\n' not in said


def test_nothing_is_written_where_it_cannot_be_signed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'c2pa', None)
    with pytest.raises(ProvenanceError, match='c2pa-python'):
        write_image(tmp_path / 'out.png', photo(60, 80), MAKING)
    assert not [path for path in tmp_path.iterdir() if path.name != 'config']


def test_settings_that_cannot_be_written_are_one_sentence(tmp_path, monkeypatch):
    (tmp_path / 'file').write_text('in the way')
    monkeypatch.setenv('XDG_CONFIG_HOME', str(tmp_path / 'file' / 'config'))
    with pytest.raises(ProvenanceError, match='XDG_CONFIG_HOME.*--provenance off'):
        write_image(tmp_path / 'out.png', photo(60, 80), MAKING)
    assert not (tmp_path / 'out.png').exists()
    with pytest.raises(ProvenanceError, match='XDG_CONFIG_HOME'):
        resolve_signing('require')
    sign_it, note = resolve_signing('if-possible')
    assert not sign_it and 'XDG_CONFIG_HOME' in note and '\n' not in note
    assert resolve_signing('off') == (False, None)


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch):
    def homeless():
        raise RuntimeError('Could not determine home directory.')

    monkeypatch.delenv('XDG_CONFIG_HOME')
    monkeypatch.setattr(certificates.Path, 'home', homeless)
    with pytest.raises(ProvenanceError, match='XDG_CONFIG_HOME'):
        check_signing()


def test_the_visible_mark_stays_in_its_corner():
    plain = np.full((300, 400, 3), 120, np.uint8)
    changed = (with_visible_label(plain) != plain).any(2)
    assert changed[270:, 300:].mean() > 0.2 and not changed[:270].any() and not changed[:, :200].any()
    assert with_visible_label(plain)[changed].max() > 240 and (plain == 120).all()
