"""scripts/translate.py as its user meets it, with a translator that gives every image one color per style."""
import hashlib
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from models.pipelines.demo import demo_photo
from models.pipelines.io.images import read_image, write_image
from models.pipelines.io.provenance import COMPOSITE_MEDIA, GENERATED_MEDIA, inspect
from models.pipelines.video.clip import VideoFormat
from models.pipelines.video.mux import SegmentWriter, join
from scripts import translate
from tests.models.pipelines.test_translate import Dyer
from tests.models.stubs import Oval, perception, photo


@pytest.fixture(autouse=True)
def stand_in(monkeypatch, tmp_path):
    monkeypatch.setenv('FACE_WEIGHTS_DIR', str(tmp_path / 'home'))
    monkeypatch.setattr(translate, 'load_translator', lambda file, networks: Dyer())
    monkeypatch.setattr(translate, 'build_perception', lambda *names: perception(Oval()))
    (tmp_path / 'dyer.safetensors').write_bytes(b'no weights')


@pytest.fixture
def run(tmp_path):
    def run(*words) -> int:
        return translate.main([str(word) for word in ('--weights', tmp_path / 'dyer.safetensors', *words, '--device', 'cpu')])
    return run


def test_a_photo_gets_its_translation_a_sheet_and_credentials(run, tmp_path):
    write_image(tmp_path / 'photo.png', demo_photo('astronaut'))
    out = tmp_path / 'new' / 'out.png'
    assert run('--input', tmp_path / 'photo.png', '-o', out) == 0
    face = read_image(out)
    assert face.shape == (32, 32, 3) and (face == face[0, 0]).all() and inspect(out).source_type == GENERATED_MEDIA
    found = inspect(tmp_path / 'new' / 'out.sheet.png')
    assert found.intact and found.generation_info.model == 'Dyer' and 'into a drawing' in found.generation_info.description
    assert found.generation_info.weights == {'dyer.safetensors': hashlib.sha256(b'no weights').hexdigest()}

    assert run('--input', tmp_path / 'photo.png', '-o', out, '--paste', '--styles', 2, '--overwrite') == 0
    first, second = (read_image(out.with_name(f'out.style{number}.png')) for number in (1, 2))
    before = demo_photo('astronaut')
    assert first.shape == before.shape and (first[:50] == before[:50]).all()
    assert (first[115:125, 220:230] == face[0, 0]).all() and (second[120, 225] != face[0, 0]).any()
    assert inspect(out.with_name('out.style1.png')).source_type == COMPOSITE_MEDIA


def test_of_a_folder_what_cannot_be_done_is_said_and_what_is_done_stays(run, tmp_path, capsys):
    folder, out = tmp_path / 'photos', tmp_path / 'out'
    for name, image in (('a', demo_photo('astronaut')), ('b', photo(200, 300)), ('group', demo_photo('group')[:, :700])):
        write_image(folder / f'{name}.png', image)
    assert run('--input', folder, '-o', out, '--face', 'all', '--no-provenance') == 0
    names = {path.name for path in out.iterdir()}
    assert {'a.png', 'a.sheet.png', 'group.face0.png', 'group.sheet.png'} <= names and 'b.sheet.png' not in names
    said = capsys.readouterr().err
    assert 'b.png: no face was found' in said and '2 images translated, 1 not' in said
    kept = (out / 'a.png').stat().st_mtime_ns
    (out / 'group.sheet.png').unlink()
    assert run('--input', folder, '-o', out, '--no-provenance') == 0
    assert (out / 'a.png').stat().st_mtime_ns == kept and (out / 'group.sheet.png').exists()
    assert '1 were there already' in capsys.readouterr().err


def test_of_two_domains_the_test_set_of_the_direction_is_translated(run, tmp_path):
    for side, count in (('A', 1), ('B', 2)):
        for number in range(count):
            write_image(tmp_path / 'two' / f'test{side}' / 'anna' / f'{number}.png', photo(40, 40, number))
    assert run('--input', tmp_path / 'two', '-o', tmp_path / 'out', '--direction', 'b2a', '--no-provenance') == 0
    assert sorted(path.relative_to(tmp_path / 'out').as_posix() for path in (tmp_path / 'out').rglob('*.png')) == [
        'anna/0.png', 'anna/0.sheet.png', 'anna/1.png', 'anna/1.sheet.png']


def test_a_reference_image_gives_the_style(run, tmp_path, capsys):
    write_image(tmp_path / 'photo.png', demo_photo('astronaut'))
    write_image(tmp_path / 'style.png', np.zeros((64, 64, 3), np.uint8) + np.array([20, 200, 40], np.uint8))
    out = tmp_path / 'out'
    assert run('--input', tmp_path / 'photo.png', '--reference', tmp_path / 'style.png', '-o', out, '--no-provenance') == 0
    assert np.abs(read_image(out / 'photo.png')[0, 0].astype(int) - [20, 200, 40]).max() <= 1
    assert 'note on' in capsys.readouterr().err


def test_a_folder_of_images_and_videos_gives_both(run, tmp_path, capsys):
    folder, out = tmp_path / 'in', tmp_path / 'out'
    write_image(folder / 'photo.png', demo_photo('astronaut'))
    frames = [Image.fromarray(demo_photo('astronaut')[:320, 60:380] // part) for part in (1, 2)]
    frames[0].save(folder / 'moving.gif', save_all=True, append_images=frames[1:], duration=100)
    (folder / 'notes.mp4').write_text('no video')
    assert run('--input', folder, '-o', out, '--no-provenance') == 2
    assert sorted(path.name for path in out.iterdir()) == ['moving.mp4', 'photo.png', 'photo.sheet.png']
    assert '1 of 2 videos could not be converted' in capsys.readouterr().err


@pytest.mark.parametrize('camera', [False, True])
def test_every_frame_of_a_video_or_of_a_camera_is_translated_in_one_style(run, tmp_path, camera):
    clip, out = tmp_path / 'clip.mp4', tmp_path / 'out' / 'drawn.mp4'
    photo, look = demo_photo('astronaut')[:320, 60:380], VideoFormat(320, 320, Fraction(8), Fraction(1, 8))
    piece = SegmentWriter(tmp_path / 'piece.mp4', look)
    for number in range(6):
        piece.write(number, np.roll(photo, 2 * number, 1))
    piece.close()
    join([piece.path], piece.stamps, piece.end, look, clip)
    assert run('--input', f'camera:{clip}' if camera else clip, '-o', out, '--style', 1) == 0
    assert inspect(out).intact and inspect(out).generation_info.model == 'Dyer'
    video = cv2.VideoCapture(str(out))
    frames = [frame[..., ::-1] for there, frame in iter(video.read, (False, None)) if there]
    assert len(frames) == 6 or camera and frames
    colors = np.array([frame[116:122, 165:170].mean((0, 1)) for frame in frames])
    assert np.abs(colors - colors[0]).max() < 12 and np.abs(colors[0] - photo[116:122, 165:170].mean((0, 1))).max() > 30
    assert camera or np.abs(frames[0][290:, :60].astype(int) - photo[290:, :60]).mean() < 6


def test_a_photo_with_alpha_keeps_it_where_the_face_is_put_into_it(run, tmp_path):
    case = Path(__file__).parents[1] / 'fixtures' / 'cases' / 'alpha.png'
    assert run('--input', case, '-o', tmp_path / 'out.png', '--paste') == 0
    with Image.open(case) as before, Image.open(tmp_path / 'out.png') as after:
        assert (np.array(after)[..., 3] == np.array(before)[..., 3]).all()
    assert (read_image(tmp_path / 'out.png') != read_image(case)).any()


def test_what_cannot_be_written_or_signed_is_said_before_the_networks_are_loaded(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(translate, 'load_translator', lambda *given: pytest.fail('loaded'))
    write_image(tmp_path / 'a.jpg', photo(20, 30))
    write_image(tmp_path / 'a.png', photo(20, 30))
    for words, hint in ((['-o', tmp_path / 'a.jpg'], 'would replace the input'), (['-o', tmp_path / 'a.jpg' / 'b.png'], 'a file'),
                        (['-o', tmp_path / 'b.png', '--reference', tmp_path / 'none.png'], 'is no file')):
        assert run('--input', tmp_path / 'a.jpg', *words) == 2
        said = capsys.readouterr().err.strip()
        assert hint in said and '\n' not in said
    monkeypatch.setenv('XDG_CONFIG_HOME', str(tmp_path / 'a.jpg'))
    assert run('--input', tmp_path / 'a.jpg', '-o', tmp_path / 'b.png') == 2
    assert 'XDG_CONFIG_HOME' in capsys.readouterr().err


@pytest.mark.parametrize('words, hint', [
    (['--input', 'nowhere.png'], 'there is no nowhere.png'),
    (['--input', 'empty.png'], 'no face was found in the image'),
    (['--input', 'empty.png', '-o', '.'], 'would replace the input'),
    (['--input', '.', '-o', 'out.png'], 'has to be a folder'),
    (['--input', 'empty.png', '-o', 'out.bmp/x', '--aligned', '--paste'], 'nothing to paste'),
    (['--input', 'empty.png', '--features', 'empty.png'], 'clustered features')])
def test_what_is_wrong_is_one_sentence(run, tmp_path, monkeypatch, capsys, words, hint):
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / 'empty.png', photo(200, 300))
    assert run(*words) == 2
    said = capsys.readouterr().err.strip()
    assert hint in said and '\n' not in said


def test_without_weights_it_says_how_to_get_some(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(translate.weights, 'ZOO', tmp_path)
    write_image(tmp_path / 'photo.png', photo(40, 40))
    assert translate.main(['--input', str(tmp_path / 'photo.png'), '--device', 'cpu']) == 2
    assert 'the zoo holds no translator: train one with' in capsys.readouterr().err
