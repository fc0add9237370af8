"""scripts/weights.py: what is printed and how it ends."""
import hashlib
import importlib

import pytest

from models import weights


@pytest.fixture
def script(monkeypatch, tmp_path):
    monkeypatch.setenv('FACE_WEIGHTS_DIR', str(tmp_path))
    for name, content in {'good': b'right', 'bad': b'wrong'}.items():
        (tmp_path / name).write_bytes(content)
        monkeypatch.setitem(weights.TABLE, name, weights.Entry(
            name, name, 'http://127.0.0.1:9/', hashlib.sha256(b'right').hexdigest(), 5, 'MIT', 'nobody'))
    return importlib.import_module('scripts.weights').main


def test_list_says_what_is_here_and_describe_says_everything(script, capsys):
    assert script(['list']) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert set(weights.TABLE) <= set(lines)
    assert 'yes' in lines['good'] and 'yes' not in lines['bisenet']
    assert script(['list', 'bisenet']) == 0
    said = capsys.readouterr().out
    assert weights.TABLE['bisenet'].sha256 in said and weights.TABLE['bisenet'].address in said and 'not here' in said


def test_verify_fails_where_a_file_is_wrong_or_missing(script, capsys):
    assert script(['verify', 'good']) == 0
    assert script(['verify', 'good', 'bad']) == 1
    assert 'bad: here, but its sha256 is WRONG' in capsys.readouterr().out
    assert script(['verify', 'bisenet']) == 1


@pytest.mark.parametrize(('words', 'message'), [
    (['fetch', 'nothing'], 'known: identity-mobilefacenet'),
    (['fetch', 'bad'], 'delete it'),
    (['fetch', 'simswap-arcface'], '--allow-unverified'),
    (['convert', 'bisenet'], 'scripts/weights.py fetch bisenet'),
])
def test_a_mistake_is_one_sentence(script, capsys, words, message):
    assert script(words) == 2
    said = capsys.readouterr()
    assert message in said.err and said.err.count('\n') == 1 and not said.out
