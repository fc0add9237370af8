"""Too little memory is one sentence that says what to set."""
import importlib

import pytest
import torch


@pytest.mark.parametrize('script, work, arguments, advice', [
    ('swap', 'run', ['--demo'], 'set --batch lower or --device cpu'),
    ('translate', 'run', ['--input', 'photo.png', '-o', 'drawing.png'], 'set --device cpu or take smaller images'),
    ('sample_ilvr', 'run', ['--ref', 'photo.png', '-o', 'OUT'], 'set --batch lower or --device cpu'),
    ('evaluate', 'swaps', ['--family', 'cvae'], 'set --batch below 16 or --device cpu'),
])
def test_scripts_say_what_to_set(monkeypatch, capsys, script, work, arguments, advice):
    def fail(*args):
        raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB')

    module = importlib.import_module(f'scripts.{script}')
    monkeypatch.setattr(module, work, fail)
    assert module.main(arguments) == 2
    assert capsys.readouterr().err == f'{script}.py: the memory was not enough: {advice}\n'
