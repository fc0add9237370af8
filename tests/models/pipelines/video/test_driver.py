"""Conversion of videos and folders of videos: output names, errors of single videos, reports."""
import io
import os
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image

from experiments.console import escape_unprintable
from experiments.reporting import ConsoleReport
from models.pipelines.video.clip import Clip
from models.pipelines.video.driver import VideoRun
from models.pipelines.video.targets import check_video_output, is_video_target
from tests.models.pipelines.video.stubs import encode, images, passing_engine
from tests.models.stubs import photo


@pytest.fixture(scope='module')
def clip(tmp_path_factory) -> Path:
    return encode(tmp_path_factory.mktemp('clip') / 'clip.mp4', images(3), [0, 40, 80])


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / 'in').mkdir()
    return tmp_path / 'in'


def write_animation(path: Path) -> None:
    first, second = (Image.fromarray(photo(48, 64, seed)) for seed in range(2))
    first.save(path, save_all=True, append_images=[second], duration=100)


def converted(target: Path, output: Path) -> list[str]:
    """Names of the files in `output` after a conversion without errors."""
    result = VideoRun(passing_engine(), report=ConsoleReport()).convert(target, output)
    assert result.finished and result.error is None
    return sorted(path.name for path in output.iterdir())


def test_videos_of_one_stem_keep_their_suffix(folder, tmp_path, clip, capsys):
    encode(folder / 'clip.mov', images(2), [0, 40])
    for name in ('clip.mp4', 'Clip.mkv', 'other.mp4', 'clip.mov.mp4'):
        shutil.copy(clip, folder / name)
    names = ['Clip.mkv.mp4', 'clip.mov.mp4', 'clip.mov.mp4.mp4', 'clip.mp4.mp4', 'other.mp4']
    assert converted(folder, tmp_path / 'out') == names
    assert Clip(tmp_path / 'out' / 'clip.mov.mp4').frame_count == 2 and Clip(tmp_path / 'out' / 'clip.mp4.mp4').frame_count == 3
    capsys.readouterr()
    assert converted(folder, tmp_path / 'out') == names and capsys.readouterr().err.count('exists already') == 5


def test_output_that_replaces_a_video_is_refused(folder, clip):
    encode(folder / 'a.mov', images(2), [0, 40])
    shutil.copy(clip, folder / 'b.mp4')
    before = (folder / 'b.mp4').read_bytes()
    os.link(folder / 'b.mp4', folder / 'link.mp4')
    for target, output in ((folder, folder), (folder / 'b.mp4', folder / 'b.mp4'), (folder / 'b.mp4', folder / 'link.mp4')):
        with pytest.raises(ValueError, match='another -o'):
            check_video_output(target, output)
    assert (folder / 'b.mp4').read_bytes() == before and len(os.listdir(folder)) == 3


def test_broken_video_of_a_folder_is_reported(folder, tmp_path, clip, capsys):
    (folder / 'a.mp4').write_text('no video')
    shutil.copy(clip, folder / 'b.mp4')
    result = VideoRun(passing_engine(), report=ConsoleReport()).convert(folder, tmp_path / 'out')
    assert result.finished and '1 of 2 videos' in str(result.error)
    assert os.listdir(tmp_path / 'out') == ['b.mp4'] and 'a.mp4 cannot be read' in capsys.readouterr().err


def test_broken_single_video_raises(tmp_path):
    (tmp_path / 'a.mp4').write_text('no video')
    with pytest.raises(ValueError, match='cannot be read'):
        VideoRun(passing_engine()).convert(tmp_path / 'a.mp4', tmp_path / 'out.mp4')


def test_stopped_conversion_resumes(clip, tmp_path, capsys):
    output = tmp_path / 'out.mp4'
    result = VideoRun(passing_engine(), report=ConsoleReport(), stop=lambda: True).convert(clip, output)
    assert not result.finished and not output.exists() and 'the same command resumes' in capsys.readouterr().err
    assert VideoRun(passing_engine()).convert(clip, output).finished and Clip(output).frame_count == 3


def test_unprintable_output_names_are_escaped(folder, tmp_path, clip, monkeypatch):
    names = ['あ.mp4', os.fsdecode(b'\xff.mp4'), 'b.mp4']
    for name in names:
        shutil.copy(clip, folder / name)
    raw = io.BytesIO()
    monkeypatch.setattr(sys, 'stdout', io.TextIOWrapper(raw, encoding='ascii', write_through=True))
    escape_unprintable()
    assert converted(folder, tmp_path / 'out') == sorted(names)
    assert b'\\u3042.mp4' in raw.getvalue() and b'\\udcff.mp4' in raw.getvalue()


def test_animated_images_are_videos_unless_other_images_exist(folder, tmp_path, clip):
    write_animation(folder / 'a.gif')
    write_animation(folder / 'b.webp')
    assert is_video_target(folder) and is_video_target(folder / 'a.gif')
    assert is_video_target(folder / 'a.gif', tmp_path / 'out.mp4') and not is_video_target(folder / 'a.gif', tmp_path / 'out.png')
    assert converted(folder, tmp_path / 'out') == ['a.mp4', 'b.mp4']
    Image.fromarray(photo(48, 64)).save(folder / 'still.png')
    assert not is_video_target(folder)
    shutil.copy(clip, folder / 'c.mp4')
    assert is_video_target(folder) and not is_video_target(folder / 'still.png')
    assert not is_video_target(tmp_path / 'absent.gif')


@pytest.mark.parametrize('output, message', [('x' * 252 + '.mp4', 'too long'), ('out.avi', '.mp4')])
def test_unusable_output_is_refused(clip, tmp_path, output, message):
    with pytest.raises(ValueError, match=message):
        check_video_output(clip, tmp_path / output)


@pytest.mark.parametrize('name', ['absent.mp4', f'{"x" * 300}.mp4'])
def test_missing_video_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match='no file'):
        check_video_output(tmp_path / name, tmp_path / 'out.mp4')
