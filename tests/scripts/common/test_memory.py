"""Advice of the scripts and the web page after running out of memory."""
import importlib

import pytest
import torch


@pytest.mark.parametrize('script, function, arguments, advice', [
    ('swap', 'run', ['--demo'], 'set --batch lower or --device cpu'),
    ('translate', 'run', ['--input', 'photo.png', '-o', 'drawing.png'], 'set --device cpu or take smaller images'),
    ('sample_ilvr', 'run', ['--ref', 'photo.png', '-o', 'OUT'], 'set --batch lower or --device cpu'),
    ('sample_cvae', 'run', ['--source', 'a.jpg', '--target', 'b.jpg'], 'set --n lower'),
    ('encode_features', 'run', ['--weights', 'w.safetensors', '-o', 'f.npz'], 'set --limit or --samples lower'),
    ('evaluate', 'swaps', ['--family', 'cvae'], 'set --batch below 16 or --device cpu'),
])
def test_script_names_the_option_to_change(monkeypatch, capsys, script, function, arguments, advice):
    def fail(*args):
        raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB')

    module = importlib.import_module(f'scripts.{script}')
    monkeypatch.setattr(module, function, fail)
    assert module.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(f'{script}.py: ') and error.endswith(f': {advice}\n') and 'memory' in error


def test_page_names_what_to_change():
    gradio = pytest.importorskip('gradio')
    from app.tasks import user_messages
    for error in (torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB'), MemoryError()):
        with pytest.raises(gradio.Error, match='memory was not enough: take a smaller image'), user_messages():
            raise error
