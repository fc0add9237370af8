"""scripts/translate.py with a stub translator that gives every image one color per style."""
import hashlib
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from models import weights_table
from models.pipelines.demo import demo_photo
from models.pipelines.io.images import read_image, write_image
from models.pipelines.io.provenance import COMPOSITE_MEDIA, GENERATED_MEDIA, inspect
from models.pipelines.video.clip import VideoFormat
from models.pipelines.video.mux import SegmentWriter, join_segments
from scripts import translate
from tests.models.pipelines.test_translate import ColorTranslator
from tests.models.stubs import OvalParser, perception, photo


@pytest.fixture(autouse=True)
def stub_translator(monkeypatch, tmp_path):
    monkeypatch.setenv('FACE_WEIGHTS_DIR', str(tmp_path / 'home'))
    monkeypatch.setattr(translate, 'load_translator', lambda file, networks: ColorTranslator())
    monkeypatch.setattr(translate, 'build_perception', lambda *names: perception(OvalParser()))
    (tmp_path / 'color.safetensors').write_bytes(b'no weights')


@pytest.fixture
def run(tmp_path):
    """Runs the script with the given arguments and returns its exit status."""
    prefix = '--weights', tmp_path / 'color.safetensors', '--device', 'cpu'
    return lambda *arguments: translate.main([str(argument) for argument in (*prefix, *arguments)])


def test_photo_gives_translation_sheet_and_credentials(run, tmp_path):
    write_image(tmp_path / 'photo.png', demo_photo('astronaut'))
    output = tmp_path / 'new' / 'out.png'
    assert run('--input', tmp_path / 'photo.png', '-o', output) == 0
    face = read_image(output)
    assert face.shape == (32, 32, 3) and (face == face[0, 0]).all()
    assert inspect(output).source_type == GENERATED_MEDIA
    credentials = inspect(tmp_path / 'new' / 'out.sheet.png')
    info = credentials.generation_info
    assert credentials.intact and info.model == 'ColorTranslator' and 'into a drawing' in info.description
    assert info.weights == {'color.safetensors': hashlib.sha256(b'no weights').hexdigest()}

    assert run('--input', tmp_path / 'photo.png', '-o', output, '--paste', '--styles', 2, '--overwrite') == 0
    first, second = (read_image(output.with_name(f'out.style{number}.png')) for number in (1, 2))
    before = demo_photo('astronaut')
    assert first.shape == before.shape and (first[:50] == before[:50]).all()
    assert (first[115:125, 220:230] == face[0, 0]).all() and (second[120, 225] != face[0, 0]).any()
    assert inspect(output.with_name('out.style1.png')).source_type == COMPOSITE_MEDIA


def test_folder_reports_failures_and_keeps_existing_outputs(run, tmp_path, capsys):
    folder, output = tmp_path / 'photos', tmp_path / 'out'
    for name, image in (('a', demo_photo('astronaut')), ('b', photo(200, 300)), ('group', demo_photo('group')[:, :700])):
        write_image(folder / f'{name}.png', image)
    assert run('--input', folder, '-o', output, '--face', 'all', '--no-provenance') == 0
    names = {path.name for path in output.iterdir()}
    assert {'a.png', 'a.sheet.png', 'group.face0.png', 'group.sheet.png'} <= names and 'b.sheet.png' not in names
    messages = capsys.readouterr().err
    assert 'b.png: no face was found' in messages and '2 images translated, 1 not' in messages
    modified = (output / 'a.png').stat().st_mtime_ns
    (output / 'group.sheet.png').unlink()
    assert run('--input', folder, '-o', output, '--no-provenance') == 0
    assert (output / 'a.png').stat().st_mtime_ns == modified and (output / 'group.sheet.png').exists()
    assert '1 existed already' in capsys.readouterr().err


def test_two_domains_give_the_test_set_of_the_direction(run, tmp_path):
    for side, count in (('A', 1), ('B', 2)):
        for number in range(count):
            write_image(tmp_path / 'two' / f'test{side}' / 'anna' / f'{number}.png', photo(40, 40, number))
    assert run('--input', tmp_path / 'two', '-o', tmp_path / 'out', '--direction', 'b2a', '--no-provenance') == 0
    assert sorted(path.relative_to(tmp_path / 'out').as_posix() for path in (tmp_path / 'out').rglob('*.png')) == [
        'anna/0.png', 'anna/0.sheet.png', 'anna/1.png', 'anna/1.sheet.png']


def test_reference_image_gives_the_style(run, tmp_path, capsys):
    write_image(tmp_path / 'photo.png', demo_photo('astronaut'))
    write_image(tmp_path / 'style.png', np.zeros((64, 64, 3), np.uint8) + np.array([20, 200, 40], np.uint8))
    output = tmp_path / 'out'
    assert run('--input', tmp_path / 'photo.png', '--reference', tmp_path / 'style.png', '-o', output, '--no-provenance') == 0
    assert np.abs(read_image(output / 'photo.png')[0, 0].astype(int) - [20, 200, 40]).max() <= 1
    assert 'note on' in capsys.readouterr().err


def test_folder_of_images_and_videos_gives_both(run, tmp_path, capsys):
    folder, output = tmp_path / 'in', tmp_path / 'out'
    write_image(folder / 'photo.png', demo_photo('astronaut'))
    frames = [Image.fromarray(demo_photo('astronaut')[:320, 60:380] // part) for part in (1, 2)]
    frames[0].save(folder / 'moving.gif', save_all=True, append_images=frames[1:], duration=100)
    (folder / 'notes.mp4').write_text('no video')
    assert run('--input', folder, '-o', output, '--no-provenance') == 2
    assert sorted(path.name for path in output.iterdir()) == ['moving.mp4', 'photo.png', 'photo.sheet.png']
    assert '1 of 2 videos could not be converted' in capsys.readouterr().err


@pytest.mark.parametrize('camera', [False, True])
def test_all_frames_have_one_style(run, tmp_path, camera):
    clip, output = tmp_path / 'clip.mp4', tmp_path / 'out' / 'translated.mp4'
    image, video_format = demo_photo('astronaut')[:320, 60:380], VideoFormat(320, 320, Fraction(8), Fraction(1, 8))
    segment = SegmentWriter(tmp_path / 'segment.mp4', video_format)
    for number in range(6):
        segment.write(number, np.roll(image, 2 * number, 1))
    segment.close()
    join_segments([segment.path], segment.stamps, segment.end, video_format, clip)
    assert run('--input', f'camera:{clip}' if camera else clip, '-o', output, '--style', 1) == 0
    assert inspect(output).intact and inspect(output).generation_info.model == 'ColorTranslator'
    capture = cv2.VideoCapture(str(output))
    frames = [frame[..., ::-1] for success, frame in iter(capture.read, (False, None)) if success]
    assert len(frames) == 6 or camera and frames
    colors = np.array([frame[116:122, 165:170].mean((0, 1)) for frame in frames])
    assert np.abs(colors - colors[0]).max() < 12 and np.abs(colors[0] - image[116:122, 165:170].mean((0, 1))).max() > 30
    assert camera or np.abs(frames[0][290:, :60].astype(int) - image[290:, :60]).mean() < 6


def test_pasting_keeps_alpha(run, tmp_path):
    case = Path(__file__).parents[2] / 'fixtures' / 'cases' / 'alpha.png'
    assert run('--input', case, '-o', tmp_path / 'out.png', '--paste') == 0
    with Image.open(case) as before, Image.open(tmp_path / 'out.png') as after:
        assert (np.array(after)[..., 3] == np.array(before)[..., 3]).all()
    assert (read_image(tmp_path / 'out.png') != read_image(case)).any()


def test_file_and_signing_errors_precede_loading(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(translate, 'load_translator', lambda *_: pytest.fail('the translator was loaded'))
    write_image(tmp_path / 'a.jpg', photo(20, 30))
    write_image(tmp_path / 'a.png', photo(20, 30))
    for arguments, message in ((['-o', tmp_path / 'a.jpg'], 'would replace the input'),
                               (['-o', tmp_path / 'a.jpg' / 'b.png'], 'a file'),
                               (['-o', tmp_path / 'b.png', '--reference', tmp_path / 'none.png'], 'is no file')):
        assert run('--input', tmp_path / 'a.jpg', *arguments) == 2
        error = capsys.readouterr().err.strip()
        assert message in error and '\n' not in error
    monkeypatch.setenv('XDG_CONFIG_HOME', str(tmp_path / 'a.jpg'))
    assert run('--input', tmp_path / 'a.jpg', '-o', tmp_path / 'b.png') == 2
    assert 'XDG_CONFIG_HOME' in capsys.readouterr().err


@pytest.mark.parametrize('arguments, message', [
    (['--input', 'nowhere.png'], 'there is no nowhere.png'),
    (['--input', 'empty.png'], 'no face was found in the image'),
    (['--input', 'empty.png', '-o', '.'], 'would replace the input'),
    (['--input', '.', '-o', 'out.png'], 'has to be a folder'),
    (['--input', 'empty.png', '-o', 'out.bmp/x', '--aligned', '--paste'], 'paste'),
    (['--input', 'empty.png', '--features', 'empty.png'], 'clustered features')])
def test_input_error_is_one_line(run, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / 'empty.png', photo(200, 300))
    assert run(*arguments) == 2
    error = capsys.readouterr().err.strip()
    assert message in error and '\n' not in error


def test_missing_weights_error_names_a_training_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(weights_table, 'ZOO', tmp_path)
    write_image(tmp_path / 'photo.png', photo(40, 40))
    assert translate.main(['--input', str(tmp_path / 'photo.png'), '--device', 'cpu']) == 2
    assert 'scripts/train.py' in capsys.readouterr().err
