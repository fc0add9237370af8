"""Too little memory is one sentence that says what to set."""
import importlib

import pytest
import torch


@pytest.mark.parametrize('script, work, arguments, advice', [
    ('swap', 'run', ['--demo'], 'set --batch lower or --device cpu'),
    ('translate', 'run', ['--input', 'photo.png', '-o', 'drawing.png'], 'set --device cpu or take smaller images'),
    ('sample_ilvr', 'run', ['--ref', 'photo.png', '-o', 'OUT'], 'set --batch lower or --device cpu'),
    ('sample_cvae', 'run', ['--source', 'a.jpg', '--target', 'b.jpg'], 'set --n lower'),
    ('encode_features', 'run', ['--weights', 'w.safetensors', '-o', 'f.npz'], 'set --limit or --samples lower'),
    ('evaluate', 'swaps', ['--family', 'cvae'], 'set --batch below 16 or --device cpu'),
])
def test_scripts_say_what_to_set(monkeypatch, capsys, script, work, arguments, advice):
    def fail(*args):
        raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB')

    module = importlib.import_module(f'scripts.{script}')
    monkeypatch.setattr(module, work, fail)
    assert module.main(arguments) == 2
    assert capsys.readouterr().err == f'{script}.py: the memory was not enough: {advice}\n'


def test_the_page_says_what_to_do():
    gradio = pytest.importorskip('gradio')
    from app.work import sentences
    for error in (torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB'), MemoryError()):
        with pytest.raises(gradio.Error, match='^.The memory was not enough: take a smaller image'), sentences():
            raise error
