"""Face swaps in videos by scripts/swap.py, with a stub for the trained family."""
import av
import pytest
import torch

from models import weights
from models.pipelines.io.provenance import inspect
from models.pipelines.video import driver
from scripts import swap


def count_white_pixels(path):
    with av.open(str(path)) as container:
        return [int((frame.to_ndarray(format='rgb24').min(2) > 245).sum()) for frame in container.decode(video=0)]


def test_every_frame_is_swapped(run, stub_family, photos, video, tmp_path, capsys):
    batch_sizes = stub_family(lambda batch: torch.ones_like(batch.target))
    output = tmp_path / 'out.mp4'
    arguments = ['--source', photos / 'portrait.png', '--target', video, '--no-color', '-o', output]
    assert run(*arguments, '--reference', photos / 'astronaut.png') == 0
    captured = capsys.readouterr()
    assert captured.out.strip() == str(output) and 'frames/s' in captured.err
    assert sum(batch_sizes) == 6 and min(count_white_pixels(output)) > 10 * max(count_white_pixels(video)) + 500
    assert inspect(output).generation_info.model == 'cgan'
    with pytest.raises(SystemExit):
        run(*arguments, '--debug')


def test_broken_video_error_is_one_line(run, stub_family, photos, tmp_path, capsys):
    stub_family(lambda batch: batch.target)
    (tmp_path / 'notes.mp4').write_text('no video')
    assert run('--source', photos / 'portrait.png', '--target', tmp_path / 'notes.mp4', '-o', tmp_path / 'out.mp4') == 2
    error = capsys.readouterr().err.strip()
    assert 'cannot be read' in error and '\n' not in error and not (tmp_path / 'out.mp4.parts').exists()


def test_conversion_settings_depend_on_all_networks(stub_family, monkeypatch, tmp_path):
    stub_family(lambda batch: batch.target)
    args = swap.parse(['--source', 'a.png', '--target', 'b.mp4'])
    model, other = swap.build_model(args), tmp_path / 'other.safetensors'
    before = swap.conversion_settings(args, model, [])
    assert before == swap.conversion_settings(args, model, [])
    other.write_bytes(b'other weights')
    for changed in ('identity-mobilefacenet', swap.PHOTO_PARSER):
        monkeypatch.setattr(driver, 'file_of', lambda name, changed=changed: other if name == changed else weights.path(name))
        assert swap.conversion_settings(args, model, []) != before
