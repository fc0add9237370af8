"""scripts/weights.py: output and exit status."""
import hashlib
import importlib

import pytest

from models import weights


@pytest.fixture
def run(monkeypatch, tmp_path):
    """The main function, with an intact and a damaged file in the cache."""
    monkeypatch.setenv('FACE_WEIGHTS_DIR', str(tmp_path))
    for name, content in {'intact': b'right', 'damaged': b'wrong'}.items():
        (tmp_path / name).write_bytes(content)
        monkeypatch.setitem(weights.TABLE, name, weights.Entry(
            name, name, 'http://127.0.0.1:9/', hashlib.sha256(b'right').hexdigest(), 5, 'MIT', 'nobody'))
    return importlib.import_module('scripts.weights').main


def test_list_shows_the_table_and_details_by_name(run, capsys):
    assert run(['list']) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert set(weights.TABLE) <= set(lines)
    assert 'yes' in lines['intact'] and 'yes' not in lines['bisenet']
    assert run(['list', 'bisenet']) == 0
    output = capsys.readouterr().out
    assert weights.TABLE['bisenet'].sha256 in output and weights.TABLE['bisenet'].address in output and 'not cached' in output


def test_verify_fails_for_damaged_and_missing_files(run, capsys):
    assert run(['verify', 'intact']) == 0
    assert run(['verify', 'intact', 'damaged']) == 1
    assert 'damaged: cached, but its sha256 is WRONG' in capsys.readouterr().out
    assert run(['verify', 'bisenet']) == 1


@pytest.mark.parametrize(('arguments', 'message'), [
    (['fetch', 'nothing'], 'known: identity-mobilefacenet'),
    (['fetch', 'damaged'], 'delete it'),
    (['fetch', 'simswap-arcface'], '--allow-unverified'),
    (['convert', 'bisenet'], 'scripts/weights.py fetch bisenet'),
])
def test_error_is_one_line(run, capsys, arguments, message):
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count('\n') == 1 and not captured.out
