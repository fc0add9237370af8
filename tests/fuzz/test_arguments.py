"""Mutated arguments of the scripts: exit code 0, or exit code 2 and `script.py: sentence` on stderr."""
import contextlib
import importlib
import io
import sys
from pathlib import Path

import pytest

from tests.fuzz.contract import check
from tests.fuzz.mutators import TEXT

COMMANDS = {  # with missing files, so that they end early
    'train': ['--family', 'cvae', '--set', 'engine.accelerator=cpu', '--data', 'celeba', '--root', 'no-folder', '--steps', '1'],
    'swap': ['--source', 'no-photo.jpg', '--target', 'no-photo.png', '--face', '0', '--seed', '3', '-o', 'out.png'],
    'translate': ['--source', 'no-photo.jpg', '-o', 'out.png'],
    'evaluate': ['--run', 'no-run', '--out', 'results'],
    'export': ['--weights', 'no.safetensors', '-o', 'out.onnx'],
    'weights': ['halve', 'no.safetensors', 'out.safetensors'],
    'train_identity': ['--data', 'folder', '--root', 'no-folder', '--network', 'sphere20'],
    'provenance': ['no-photo.jpg'],
}


@pytest.mark.parametrize('name', COMMANDS)
def test_arguments_are_accepted_or_refused(tmp_path, count, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script = importlib.import_module(f'scripts.{name}')

    def run(path: Path) -> None:
        text = path.read_bytes().replace(b'\0', b'').decode(errors='surrogateescape')
        sys.argv, stderr, code = [f'{name}.py'], io.StringIO(), 2
        with contextlib.redirect_stderr(stderr), contextlib.redirect_stdout(io.StringIO()):
            try:
                code = script.main([word for word in text.split('\n') if word])
            except SystemExit as error:
                code = error.code
        message = stderr.getvalue()
        assert code in (0, 2) and (code == 0 or f'{name}.py: ' in message), f'{code}: {message[-300:]}'

    check(f'{name}.py', '\n'.join(COMMANDS[name]).encode(), run, tmp_path / 'arguments', count, TEXT)
