"""Folders of videos: each one gets an output of its own, and one that is broken does not end the others."""
import io
import os
import shutil
import sys

import pytest
from PIL import Image

from experiments.console import escape_unprintable
from experiments.filming import check_video_output, moving, video
from models.pipelines.video.clip import Clip
from tests.models.pipelines.video.stubs import encode, images, passing_engine
from tests.models.stubs import photo


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    return encode(tmp_path_factory.mktemp('clip') / 'clip.mp4', images(3), [0, 40, 80])


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'in').mkdir()
    return tmp_path / 'in'


def animation(path):
    first, second = (Image.fromarray(photo(48, 64, seed)) for seed in range(2))
    first.save(path, save_all=True, append_images=[second], duration=100)


def outputs(engine_input, output, **more):
    assert video(passing_engine(), engine_input, output, **more)
    return sorted(path.name for path in output.iterdir())


def test_videos_of_one_stem_get_two_outputs(folder, tmp_path, clip, capsys):
    encode(folder / 'clip.mov', images(2), [0, 40])
    for name in ('clip.mp4', 'Clip.mkv', 'other.mp4', 'clip.mov.mp4'):
        shutil.copy(clip, folder / name)
    names = ['Clip.mkv.mp4', 'clip.mov.mp4', 'clip.mov.mp4.mp4', 'clip.mp4.mp4', 'other.mp4']
    assert outputs(folder, tmp_path / 'out') == names
    assert Clip(tmp_path / 'out' / 'clip.mov.mp4').frame_count == 2 and Clip(tmp_path / 'out' / 'clip.mp4.mp4').frame_count == 3
    capsys.readouterr()
    assert outputs(folder, tmp_path / 'out') == names and capsys.readouterr().err.count('there already') == 5


def test_an_output_never_takes_the_place_of_another_video(folder, clip):
    encode(folder / 'a.mov', images(2), [0, 40])
    shutil.copy(clip, folder / 'b.mp4')
    before = (folder / 'b.mp4').read_bytes()
    os.link(folder / 'b.mp4', folder / 'link.mp4')
    for target, output in ((folder, folder), (folder / 'b.mp4', folder / 'b.mp4'), (folder / 'b.mp4', folder / 'link.mp4')):
        with pytest.raises(ValueError, match='another -o'):
            check_video_output(target, output)
    assert (folder / 'b.mp4').read_bytes() == before and len(os.listdir(folder)) == 3


def test_a_broken_video_is_reported_and_the_others_are_made(folder, tmp_path, clip, capsys):
    (folder / 'a.mp4').write_text('no video')
    shutil.copy(clip, folder / 'b.mp4')
    with pytest.raises(ValueError, match='1 of 2 videos'):
        video(passing_engine(), folder, tmp_path / 'out')
    assert os.listdir(tmp_path / 'out') == ['b.mp4'] and 'a.mp4 cannot be read' in capsys.readouterr().err


def test_a_console_that_lacks_a_letter_does_not_end_a_batch(folder, tmp_path, clip, monkeypatch):
    names = ['あ.mp4', os.fsdecode(b'\xff.mp4'), 'b.mp4']
    for name in names:
        shutil.copy(clip, folder / name)
    raw = io.BytesIO()
    monkeypatch.setattr(sys, 'stdout', io.TextIOWrapper(raw, encoding='ascii', write_through=True))
    escape_unprintable()
    assert outputs(folder, tmp_path / 'out') == sorted(names)
    assert b'\\u3042.mp4' in raw.getvalue() and b'\\udcff.mp4' in raw.getvalue()


def test_which_targets_are_videos(folder, tmp_path, clip):
    animation(folder / 'a.gif')
    animation(folder / 'b.webp')
    assert moving(folder) and moving(folder / 'a.gif') and moving(folder / 'a.gif', tmp_path / 'out.mp4')
    assert not moving(folder / 'a.gif', tmp_path / 'out.png'), 'as a photo the first image counts'
    assert outputs(folder, tmp_path / 'out') == ['a.mp4', 'b.mp4']
    Image.fromarray(photo(48, 64)).save(folder / 'still.png')
    assert not moving(folder), 'a folder of images'
    shutil.copy(clip, folder / 'c.mp4')
    assert moving(folder) and not moving(folder / 'still.png') and not moving(tmp_path / 'absent.gif')


@pytest.mark.parametrize('output, word', [('x' * 252 + '.mp4', 'too long'), ('out.avi', '.mp4')])
def test_outputs_are_checked_before_networks_are_loaded(clip, tmp_path, output, word):
    with pytest.raises(ValueError, match=word):
        check_video_output(clip, tmp_path / output)
    with pytest.raises(ValueError, match='no file'):
        check_video_output(tmp_path / 'absent.mp4', tmp_path / 'out.mp4')
    with pytest.raises(ValueError, match='no file'):
        check_video_output(tmp_path / f'{"x" * 300}.mp4', tmp_path / 'out.mp4')
