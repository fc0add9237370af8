"""Face swaps in folders of photos and videos by scripts/swap.py, with a stub for the trained family."""
import shutil

import pytest
import torch
from PIL import Image

from models.pipelines.demo import demo_photo
from models.pipelines.io.provenance import inspect
from tests.models.stubs import photo
from tests.scripts.swap.conftest import write_video


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'in').mkdir()
    return tmp_path / 'in'


def test_photos_without_existing_output_are_swapped(run, stub_family, photos, folder, tmp_path, capsys):
    batch_sizes, output = stub_family(lambda batch: torch.ones_like(batch.target)), tmp_path / 'out'
    for name, image in (('a.jpg', demo_photo('astronaut')), ('b.png', photo(200, 300)), ('b.webp', demo_photo('portrait'))):
        Image.fromarray(image).save(folder / name)
    (folder / 'c.jpg').write_text('no image')
    arguments = '--source', photos / 'portrait.png', '--target', folder, '-o', output
    assert run(*arguments) == 0
    assert sorted(path.name for path in output.iterdir()) == ['a.jpg', 'b.webp.png']
    messages = capsys.readouterr().err
    assert all(part in messages for part in (f'{folder / "b.png"}: no face', 'c.jpg is no image', '2 images swapped, 2 not'))
    assert inspect(output / 'a.jpg').intact
    before, count = (output / 'a.jpg').read_bytes(), len(batch_sizes)
    (output / 'b.webp.png').unlink()
    assert run(*arguments) == 0
    assert len(batch_sizes) == count + 1 and (output / 'a.jpg').read_bytes() == before
    assert '1 existed already' in capsys.readouterr().err


def test_unusable_output_or_empty_folder_is_an_error(run, photos, folder, tmp_path, capsys):
    shutil.copy(photos / 'astronaut.png', folder)
    arguments = '--source', photos / 'portrait.png', '--target'
    (tmp_path / 'empty').mkdir()
    for target, output, message in ((folder, tmp_path / 'a.png', 'has to be a folder'),
                                    (folder, folder, 'would replace the input'),
                                    (tmp_path / 'empty', tmp_path / 'out', 'no photo')):
        assert run(*arguments, target, '-o', output) == 2
        assert message in capsys.readouterr().err


def test_photos_and_videos_are_converted(run, stub_family, photos, folder, tmp_path):
    stub_family(lambda batch: torch.ones_like(batch.target), size=64)
    image = demo_photo('astronaut')[:360]
    Image.fromarray(image).save(folder / 'photo.png')
    write_video(folder / 'clip.mp4', image, 3, rate=10)
    assert run('--source', photos / 'portrait.png', '--target', folder, '-o', tmp_path / 'out') == 0
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['clip.mp4', 'photo.png']


def test_broken_video_does_not_prevent_photos(run, stub_family, photos, folder, tmp_path, capsys):
    stub_family(lambda batch: batch.target)
    shutil.copy(photos / 'astronaut.png', folder / 'photo.png')
    (folder / 'notes.mp4').write_text('no video')
    assert run('--source', photos / 'portrait.png', '--target', folder, '-o', tmp_path / 'out', '--no-provenance') == 2
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['photo.png']
    assert 'notes.mp4 cannot be read' in capsys.readouterr().err.strip().splitlines()[-1]


def test_animated_image_is_photo_or_video_by_folder(run, stub_family, photos, folder, tmp_path, video):
    stub_family(lambda batch: batch.target)
    frames = [Image.fromarray(demo_photo('astronaut')[:240, 100:340] // part) for part in (1, 2)]
    frames[0].save(folder / 'moving.gif', save_all=True, append_images=frames[1:], duration=100)
    frames[0].save(folder / 'photo.tif')
    arguments = ['--source', photos / 'portrait.png', '--target', folder, '--no-provenance']
    assert run(*arguments, '-o', tmp_path / 'images') == 0
    assert sorted(path.name for path in (tmp_path / 'images').iterdir()) == ['moving.png', 'photo.png']
    shutil.copy(video, folder / 'video.mp4')
    assert run(*arguments, '-o', tmp_path / 'all') == 0
    assert sorted(path.name for path in (tmp_path / 'all').iterdir()) == ['moving.mp4', 'photo.png', 'video.mp4']


def test_videos_with_existing_output_are_kept(run, stub_family, photos, video, folder, tmp_path, capsys):
    batch_sizes = stub_family(lambda batch: batch.target)
    for name in ('a.mp4', 'b.mp4'):
        shutil.copy(video, folder / name)
    arguments = ['--source', photos / 'portrait.png', '--target', folder, '-o', tmp_path / 'out', '--no-provenance']
    assert run(*arguments) == 0 and sum(batch_sizes) == 12
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['a.mp4', 'b.mp4']
    (tmp_path / 'out' / 'b.mp4').unlink()
    assert run(*arguments) == 0 and sum(batch_sizes) == 18 and 'exists already' in capsys.readouterr().err
