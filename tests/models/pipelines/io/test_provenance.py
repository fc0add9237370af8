"""Content Credentials: signing, verification, and the certificate of this machine."""
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

SUFFIXES = ('.png', '.jpg', '.mp4')
INFO = GenerationInfo('cvae', {'cvae.safetensors': '0123456789abcdef' * 4}, 'one face was replaced')


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """The config folder of the suite, without a certificate."""
    monkeypatch.setenv('FACE_WEIGHTS_DIR', str(tmp_path / 'weights'))
    monkeypatch.setenv('XDG_CONFIG_HOME', str(tmp_path / 'config'))
    return tmp_path / 'config' / 'face-swap-suite'


@pytest.fixture
def signed(tmp_path):
    """signed(suffix, generation_info) -> path of a new signed file."""
    def write(suffix: str, generation_info: GenerationInfo = INFO):
        path = tmp_path / f'signed{suffix}'
        if suffix != '.mp4':
            write_image(path, photo(60, 80), generation_info)
            return path
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), 10, (80, 60))
        for seed in range(4):
            writer.write(photo(60, 80, seed))
        writer.release()
        sign(path, generation_info)
        return path
    return write


@pytest.mark.parametrize('suffix', SUFFIXES)
def test_credentials_hold_the_generation_info(signed, suffix, capsys):
    path = signed(suffix)
    credentials = inspect(path)
    assert credentials.intact and credentials.signed_locally
    assert credentials.generation_info == INFO and credentials.title == path.name
    assert credentials.source_type == 'compositeWithTrainedAlgorithmicMedia'
    assert script.main([str(path)]) == 0
    printed = capsys.readouterr().out
    for text in ('intact', 'this machine', 'in part', 'cvae', INFO.weights['cvae.safetensors'], INFO.description):
        assert text in printed


def test_assertion_has_the_keys_of_all_versions():
    assertion = {'model': 'cvae', 'weights': INFO.weights, 'done': 'one face was replaced',
                 'source': 'compositeWithTrainedAlgorithmicMedia'}
    assert INFO.to_assertion() == assertion and GenerationInfo.from_assertion(assertion) == INFO
    for other in (None, [], {}, {**assertion, 'model': 3}, {**assertion, 'weights': 'a'}, {**assertion, 'other': ''}):
        assert GenerationInfo.from_assertion(other) is None


@pytest.mark.parametrize('suffix', SUFFIXES)
def test_changed_byte_is_detected(signed, suffix, capsys):
    path = signed(suffix)
    data = bytearray(path.read_bytes())
    data[data.rindex(b'mdat') + 100 if suffix == '.mp4' else -60] ^= 1
    path.write_bytes(data)
    credentials = inspect(path)
    assert not credentials.intact and any('mismatch' in code for code in credentials.problems)
    assert script.main([str(path)]) == 1 and 'CHANGED' in capsys.readouterr().out


def test_changed_text_of_the_credentials_is_detected(signed):
    path = signed('.jpg')
    data = path.read_bytes()
    assert data.count(b'one face was replaced') >= 2
    path.write_bytes(data.replace(b'one face was replaced', b'no face was replaced.'))
    assert not inspect(path).intact


def test_signing_keeps_the_pixels(signed):
    np.testing.assert_array_equal(read_image(signed('.png')), photo(60, 80))


def test_file_without_credentials_has_none(tmp_path, signed, capsys):
    write_image(tmp_path / 'plain.png', photo(60, 80))
    assert not inspect(tmp_path / 'plain.png').present
    write_image(tmp_path / 'stripped.png', read_image(signed('.png')))
    assert not inspect(tmp_path / 'stripped.png').present
    assert script.main([str(tmp_path / 'plain.png'), str(tmp_path / 'signed.png')]) == 1
    printed = capsys.readouterr().out
    assert 'no Content Credentials' in printed and 'intact' in printed


def test_key_is_created_once_and_readable_by_its_owner_only(signed, home):
    signed('.png')
    key = home / 'provenance' / 'key.pem'
    assert key.stat().st_mode & 0o777 == 0o600
    assert [folder.stat().st_mode & 0o777 for folder in (key.parent, home)] == [0o700, 0o700]
    before = key.read_bytes()
    signed('.jpg')
    assert key.read_bytes() == before and [path.name for path in home.iterdir()] == ['provenance']


def test_key_in_the_cache_of_weights_is_moved_to_the_config_folder(signed, home, tmp_path):
    path = signed('.png')
    (tmp_path / 'weights').mkdir()
    key = (home / 'provenance' / 'key.pem').read_bytes()
    (home / 'provenance').rename(tmp_path / 'weights' / 'provenance')
    assert inspect(path).signed_locally, 'before the move'
    signed('.jpg')
    assert inspect(path).signed_locally and not (tmp_path / 'weights' / 'provenance').exists()
    assert (home / 'provenance' / 'key.pem').read_bytes() == key
    assert (home / 'provenance' / 'key.pem').stat().st_mode & 0o777 == 0o600


def test_signature_of_another_machine_is_intact_but_not_local(signed, tmp_path, monkeypatch, capsys):
    path = signed('.png', GenerationInfo('cyclegan', {}, 'translated', GENERATED_MEDIA))
    for home in ('none', 'other'):
        monkeypatch.setenv('XDG_CONFIG_HOME', str(tmp_path / home))
        credentials = inspect(path)
        assert credentials.intact and not credentials.signed_locally
        assert credentials.source_type == 'trainedAlgorithmicMedia'
        certificates.certificate_folder()  # creates another certificate
    assert script.main([str(path)]) == 0 and 'unknown to this machine' in capsys.readouterr().out


def test_unreadable_files_are_reported_in_one_sentence(tmp_path, capsys):
    (tmp_path / 'notes.txt').write_text('no image')
    for name, text in (('absent.png', 'no file'), ('notes.txt', 'does not end in')):
        assert script.main([str(tmp_path / name)]) == 2
        printed = capsys.readouterr().err.strip()
        assert text in printed and '\n' not in printed


def test_nothing_is_written_without_the_library(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'c2pa', None)
    with pytest.raises(ProvenanceError, match='c2pa-python'):
        write_image(tmp_path / 'out.png', photo(60, 80), INFO)
    assert not [path for path in tmp_path.iterdir() if path.name != 'config']


def test_unwritable_config_folder_raises(tmp_path, monkeypatch):
    (tmp_path / 'file').write_text('no folder')
    monkeypatch.setenv('XDG_CONFIG_HOME', str(tmp_path / 'file' / 'config'))
    with pytest.raises(ProvenanceError, match='XDG_CONFIG_HOME.*--provenance off'):
        write_image(tmp_path / 'out.png', photo(60, 80), INFO)
    assert not (tmp_path / 'out.png').exists()
    with pytest.raises(ProvenanceError, match='XDG_CONFIG_HOME'):
        resolve_signing('require')
    enabled, note = resolve_signing('if-possible')
    assert not enabled and 'XDG_CONFIG_HOME' in note and '\n' not in note
    assert resolve_signing('off') == (False, None)


def test_user_without_a_home_folder_raises(monkeypatch):
    def no_home():
        raise RuntimeError('Could not determine home directory.')

    monkeypatch.delenv('XDG_CONFIG_HOME')
    monkeypatch.setattr(certificates.Path, 'home', no_home)
    with pytest.raises(ProvenanceError, match='XDG_CONFIG_HOME'):
        check_signing()


def test_visible_label_is_in_the_lower_right_corner():
    plain = np.full((300, 400, 3), 120, np.uint8)
    changed = (with_visible_label(plain) != plain).any(2)
    assert changed[270:, 300:].mean() > 0.2 and not changed[:270].any() and not changed[:, :200].any()
    assert with_visible_label(plain)[changed].max() > 240 and (plain == 120).all()
