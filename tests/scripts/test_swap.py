"""scripts/swap.py as its user meets it; trained weights are replaced by stand-ins except in the last test."""
import csv
import hashlib
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from experiments import filming
from models.base import FamilyConfig
from models.pipelines.demo import demo_photo
from models.pipelines.io.images import read_image, write_image
from models.pipelines.io.provenance import inspect
from models.translation.translator import Translator
from scripts import swap
from tests.models.stubs import Oval, Painter, perception, photo


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Where the certificate of this machine is kept."""
    monkeypatch.setenv('FACE_WEIGHTS_DIR', str(tmp_path / 'home'))


@pytest.fixture
def paint(monkeypatch, tmp_path_factory):
    """Gives the script a family that paints with a function; returns the counter of images that were asked for."""
    asked, file = [], tmp_path_factory.mktemp('weights') / 'stand-in.safetensors'
    file.write_bytes(b'no weights')

    def use(function, size=128):
        def counted(batch):
            asked.append(len(batch))
            return function(batch)

        monkeypatch.setattr(swap, 'load_family', lambda path, networks: Painter(counted, size))
        monkeypatch.setattr(swap.weights, 'path', lambda name: file)
        monkeypatch.setattr(swap, 'build_perception', lambda *names, **named: perception(Oval()))
        return asked

    return use


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp('photos')
    for name in ('astronaut', 'portrait', 'group'):
        write_image(folder / f'{name}.png', demo_photo(name))
    write_image(folder / 'empty.png', photo(200, 300))
    return folder


def run(*words) -> int:
    return swap.main([str(word) for word in (*words, '--device', 'cpu')])


def test_one_photo_gets_the_face_of_another(paint, photos, tmp_path, capsys):
    paint(lambda b: torch.ones_like(b.target))
    out = tmp_path / 'new' / 'out.png'
    assert run('--source', photos / 'portrait.png', '--target', photos / 'astronaut.png', '-o', out, '--no-color') == 0
    before, after = demo_photo('astronaut'), read_image(out)
    assert after.shape == before.shape and (after[115:125, 220:230] == 255).all()
    changed = (after != before).any(2)
    assert 0.005 < changed.mean() < 0.06 and not changed[:, :170].any() and not changed[:, 290:].any()
    assert capsys.readouterr().out.strip() == str(out)


def test_a_photo_turned_by_exif_comes_out_upright(paint, photos, tmp_path):
    paint(lambda b: b.target)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.ascontiguousarray(np.rot90(demo_photo('astronaut')))).save(tmp_path / 'turned.png', exif=exif)
    assert run('--source', photos / 'portrait.png', '--target', tmp_path / 'turned.png', '-o', tmp_path / 'out.png') == 0
    assert np.abs(read_image(tmp_path / 'out.png').astype(int) - demo_photo('astronaut')).mean() < 0.2


def test_several_faces_in_the_target_are_said(paint, photos, tmp_path, capsys):
    paint(lambda b: b.target)
    arguments = ['--source', photos / 'portrait.png', '--target', photos / 'group.png', '-o', tmp_path / 'out.jpg']
    assert run(*arguments) == 0
    assert '6 faces' in capsys.readouterr().err
    assert run(*arguments, '--face', 'all') == 0
    assert capsys.readouterr().err == ''


@pytest.mark.parametrize('source, target, more, word', [
    ('empty.png', 'astronaut.png', [], 'no face was found in the source'),
    ('portrait.png', 'empty.png', [], 'no face was found in the target'),
    ('group.png', 'astronaut.png', [], 'source shows 6 faces'),
    ('portrait.png', 'group.png', ['--face', '6'], 'is no face of the target'),
    ('absent.png', 'astronaut.png', [], 'is no file'),
    ('portrait.png', 'notes.png', [], 'is no image'),
    ('portrait.png', 'astronaut.png', ['-o', 'out.doc'], 'does not end in'),
])
def test_what_is_wrong_is_one_sentence(paint, photos, tmp_path, capsys, source, target, more, word):
    paint(lambda b: b.target)
    (photos / 'notes.png').write_text('no image')
    assert run('--source', photos / source, '--target', photos / target, '-o', tmp_path / 'out.png', *more) == 2
    said = capsys.readouterr().err.strip()
    assert word in said and '\n' not in said
    assert not (tmp_path / 'out.png').exists()


def test_absent_weights_are_one_sentence(photos, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(swap.weights, 'ZOO', tmp_path)
    monkeypatch.setattr(swap, 'build_perception', lambda *names, **named: perception(Oval()))
    assert run('--source', photos / 'portrait.png', '--target', photos / 'astronaut.png', '-o', tmp_path / 'out.png') == 2
    said = capsys.readouterr().err.strip()
    assert 'cgan.safetensors' in said and '\n' not in said


@pytest.mark.parametrize('words, hint', [
    ([], 'give --demo, or --source'),
    (['--demo', '--source', 'a.png', '--target', 'b.png'], 'give --demo, or --source'),
    (['--source', 'a.png'], 'give --demo, or --source'),
    (['--pairs', 'a.csv'], '--root'),
    (['--demo', '--family', 'unheard-of'], 'cvae'),
    (['--demo', '--like', 'a.png'], '--source'),
])
def test_unclear_wishes_are_refused(words, hint, capsys):
    with pytest.raises(SystemExit) as caught:
        run(*words)
    assert caught.value.code == 2 and hint in capsys.readouterr().err.splitlines()[-1]


def test_a_swapped_photo_says_so(paint, photos, tmp_path):
    paint(lambda b: torch.ones_like(b.target))
    arguments = ['--source', photos / 'portrait.png', '--target', photos / 'astronaut.png', '-o', tmp_path / 'out.jpg']
    assert run(*arguments, '--mark', '--debug') == 0
    found = inspect(tmp_path / 'out.jpg')
    assert found.intact and found.signed_locally
    assert found.generation_info.model == 'cgan' and 'replaced' in found.generation_info.description
    assert found.generation_info.weights == {'stand-in.safetensors': hashlib.sha256(b'no weights').hexdigest()}
    with_visible_label, before = read_image(tmp_path / 'out.jpg'), demo_photo('astronaut')
    assert (with_visible_label[-30:, -80:].astype(int) - before[-30:, -80:]).std() > 30, 'the label'
    strip = read_image(tmp_path / 'out.debug.png')
    height, width = before.shape[:2]
    assert strip.shape == (height, 3 * width, 3) and inspect(tmp_path / 'out.debug.png').intact
    assert strip[120, 2 * width + 225, 0] == 255 and not strip[:50, 2 * width:].any(), 'where it was changed'
    assert run(*arguments, '--no-provenance') == 0
    assert not inspect(tmp_path / 'out.jpg').present


def test_people_of_a_list_get_their_own_sources(paint, photos, tmp_path, capsys):
    paint(lambda b: torch.ones_like(b.target))
    (photos / 'people.csv').write_text('reference,source\nastronaut.png,portrait.png\n')
    arguments = ['--people', photos / 'people.csv', '--target', photos / 'astronaut.png', '--no-color']
    assert run(*arguments, '-o', tmp_path / 'out.png') == 0
    assert (read_image(tmp_path / 'out.png')[115:125, 220:230] == 255).all()
    capsys.readouterr()
    for rows, word in (('reference,other\na,b\n', 'reference and source'), ('reference,source\nabsent.png,a.png\n', 'no file')):
        (photos / 'people.csv').write_text(rows)
        assert run(*arguments, '-o', tmp_path / 'no.png') == 2
        said = capsys.readouterr().err.strip()
        assert word in said and '\n' not in said


@pytest.fixture
def cases(tmp_path):
    """A copy of the test's inputs that go wrong easily."""
    return Path(shutil.copytree(Path(__file__).parents[1] / 'fixtures' / 'cases', tmp_path / 'cases'))


def colorful(batch):
    made = torch.full_like(batch.target, -0.5)
    made[:, 0] = 0.8
    return made


def test_a_monochrome_target_stays_monochrome(paint, cases, tmp_path):
    paint(colorful)
    for out, words in (('out.png', ('--no-color',)), ('out.jpg', ())):
        assert run('--source', cases / 'face.jpg', '--target', cases / 'gray.jpg', '-o', tmp_path / out, *words) == 0
        before, after = read_image(cases / 'gray.jpg'), read_image(tmp_path / out)
        assert (after == after[..., :1]).all() and (after != before).any(2).mean() > 0.02
    assert run('--source', cases / 'face.jpg', '--target', cases / 'face.jpg', '-o', tmp_path / 'out.png', '--no-color') == 0
    assert np.ptp(read_image(tmp_path / 'out.png')[120:130, 115:125], 2).min() > 100, 'where the target has color'


def test_a_swap_keeps_alpha_and_profile(paint, cases, tmp_path):
    paint(lambda b: torch.ones_like(b.target))
    for name in ('alpha.png', 'wide-gamut.jpg', 'gray16.png'):
        assert run('--source', cases / 'face.jpg', '--target', cases / name, '-o', tmp_path / 'out.png', '--no-color') == 0
        with Image.open(cases / name) as before, Image.open(tmp_path / 'out.png') as after:
            assert after.info.get('icc_profile') == before.info.get('icc_profile')
            if name == 'alpha.png':
                assert (np.array(after)[..., 3] == np.array(before)[..., 3]).all()
        assert inspect(tmp_path / 'out.png').intact
        assert (read_image(tmp_path / 'out.png')[85:165, 85:165] > 250).all(2).mean() > 0.4, 'the face'


def test_of_an_animation_the_first_image_is_swapped_and_it_is_said(paint, cases, tmp_path, capsys):
    paint(lambda b: b.target)
    assert run('--source', cases / 'animated.gif', '--target', cases / 'face.jpg', '-o', tmp_path / 'out.png') == 0
    assert 'animated.gif is animated; its first image was taken' in capsys.readouterr().err


def test_a_list_with_a_byte_order_mark_is_read(paint, cases, tmp_path):
    paint(lambda b: b.target)
    assert (cases / 'people-bom.csv').read_bytes().startswith(b'\xef\xbb\xbf')
    assert run('--people', cases / 'people-bom.csv', '--target', cases / 'face.jpg', '-o', tmp_path / 'out.png') == 0


def test_an_input_is_replaced_only_when_that_is_asked_for(paint, cases, capsys):
    asked = paint(lambda b: torch.ones_like(b.target))
    arguments = '--source', cases / 'drawn-source.jpg', '--target', cases / 'face.jpg'
    for name in ('face.jpg', 'drawn-source.jpg'):
        before = (cases / name).read_bytes()
        assert run(*arguments, '-o', cases / name) == 2
        assert f'{name} would replace the input' in capsys.readouterr().err
        assert (cases / name).read_bytes() == before and not asked
    assert run(*arguments, '-o', cases / 'face.jpg', '--overwrite', '--no-color') == 0
    assert (read_image(cases / 'face.jpg')[85:165, 85:165] > 240).all(2).mean() > 0.4


def test_a_folder_of_photos_is_a_target(paint, cases, photos, tmp_path, capsys):
    asked = paint(lambda b: torch.ones_like(b.target))
    folder, out = tmp_path / 'in', tmp_path / 'out'
    folder.mkdir()
    for name, image in (('a.jpg', demo_photo('astronaut')), ('b.png', photo(200, 300)), ('b.webp', demo_photo('portrait'))):
        Image.fromarray(image).save(folder / name)
    (folder / 'c.jpg').write_text('no image')
    arguments = '--source', photos / 'portrait.png', '--target', folder
    assert run(*arguments, '-o', out) == 0
    said = capsys.readouterr()
    assert sorted(path.name for path in out.iterdir()) == ['a.jpg', 'b.webp.png']
    for part in (f'{folder / "b.png"}: no face', 'c.jpg is no image', '2 images swapped, 2 not'):
        assert part in said.err
    assert inspect(out / 'a.jpg').intact
    before, count = (out / 'a.jpg').read_bytes(), len(asked)
    (out / 'b.webp.png').unlink()
    assert run(*arguments, '-o', out) == 0, 'goes on'
    assert len(asked) == count + 1 and (out / 'a.jpg').read_bytes() == before
    assert '1 were there already' in capsys.readouterr().err
    for words, hint in ((('-o', out / 'a.png'), 'has to be a folder'), (('-o', folder), 'would replace the input')):
        assert run(*arguments, *words) == 2
        assert hint in capsys.readouterr().err
    (tmp_path / 'none').mkdir()
    assert run(*arguments[:3], tmp_path / 'none', '-o', out) == 2 and 'no photo' in capsys.readouterr().err


def test_a_folder_of_photos_and_videos_gives_both(paint, photos, tmp_path):
    paint(lambda b: torch.ones_like(b.target), size=64)
    folder, frames = tmp_path / 'in', demo_photo('astronaut')[:360]
    folder.mkdir()
    Image.fromarray(frames).save(folder / 'photo.png')
    with av.open(str(folder / 'clip.mp4'), 'w') as video:
        stream = video.add_stream('libx264', rate=10)
        stream.width, stream.height, stream.pix_fmt = 512, 360, 'yuv420p'
        for _ in range(3):
            video.mux(stream.encode(av.VideoFrame.from_ndarray(frames, format='rgb24')))
        video.mux(stream.encode())
    assert run('--source', photos / 'portrait.png', '--target', folder, '-o', tmp_path / 'out') == 0
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['clip.mp4', 'photo.png']


def test_a_broken_video_of_a_folder_does_not_cost_its_photos(paint, photos, tmp_path, capsys):
    paint(lambda b: b.target)
    (tmp_path / 'in').mkdir()
    shutil.copy(photos / 'astronaut.png', tmp_path / 'in' / 'photo.png')
    (tmp_path / 'in' / 'notes.mp4').write_text('no video')
    assert run('--source', photos / 'portrait.png', '--target', tmp_path / 'in', '-o', tmp_path / 'out', '--no-provenance') == 2
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['photo.png']
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith('swap.py: ')


def test_an_animated_image_in_a_folder_is_done_once(paint, photos, tmp_path, video, capsys):
    paint(lambda b: b.target)
    (tmp_path / 'in').mkdir()
    frames = [Image.fromarray(demo_photo('astronaut')[:240, 100:340] // part) for part in (1, 2)]
    frames[0].save(tmp_path / 'in' / 'moving.gif', save_all=True, append_images=frames[1:], duration=100)
    frames[0].save(tmp_path / 'in' / 'photo.tif')
    arguments = ['--source', photos / 'portrait.png', '--target', tmp_path / 'in', '--no-provenance']
    assert run(*arguments, '-o', tmp_path / 'images') == 0
    assert sorted(path.name for path in (tmp_path / 'images').iterdir()) == ['moving.png', 'photo.png']
    assert 'moving.gif is animated; its first image was taken' in capsys.readouterr().err
    shutil.copy(video, tmp_path / 'in' / 'video.mp4')
    assert run(*arguments, '-o', tmp_path / 'all') == 0
    assert sorted(path.name for path in (tmp_path / 'all').iterdir()) == ['moving.mp4', 'photo.png', 'video.mp4']


def test_pieces_of_a_video_depend_on_all_networks(paint, photos, monkeypatch, tmp_path):
    paint(lambda b: b.target)
    args = swap.parse(['--source', 'a.png', '--target', 'b.mp4'])
    before = swap.settings(args, [])
    assert before == swap.settings(args, [])
    other = tmp_path / 'other.safetensors'
    other.write_bytes(b'other weights')
    usual = swap.weights.path
    for name in ('identity-mobilefacenet', swap.PHOTO_PARSER):
        monkeypatch.setattr(filming, 'file_of', lambda one, name=name: other if one == name else usual(one))
        assert swap.settings(args, []) != before


def test_a_key_that_cannot_be_kept_is_said_before_the_swap(paint, photos, tmp_path, monkeypatch, capsys):
    asked = paint(lambda b: b.target)
    (tmp_path / 'file').write_text('in the way')
    monkeypatch.setenv('XDG_CONFIG_HOME', str(tmp_path / 'file'))
    arguments = '--source', photos / 'portrait.png', '--target', photos / 'astronaut.png', '-o', tmp_path / 'out.png'
    assert run(*arguments) == 2
    said = capsys.readouterr().err.strip()
    assert 'XDG_CONFIG_HOME' in said and '\n' not in said and not asked and not (tmp_path / 'out.png').exists()
    assert run(*arguments, '--provenance', 'if-possible') == 0
    assert 'note: no Content Credentials' in capsys.readouterr().err and not inspect(tmp_path / 'out.png').present
    assert run(*arguments, '--provenance', 'off') == 0 and capsys.readouterr().err == ''


def test_an_output_that_cannot_be_written_is_said_before_the_swap(paint, photos, tmp_path, capsys):
    asked = paint(lambda b: b.target)
    (tmp_path / 'file').write_text('in the way')
    for out in (tmp_path / 'file' / 'out.png', tmp_path / f'{"x" * 300}.png'):
        assert run('--source', photos / 'portrait.png', '--target', photos / 'astronaut.png', '-o', out) == 2
        said = capsys.readouterr().err.strip()
        assert 'cannot be written' in said and '\n' not in said and not asked


# --pairs

PAIRS = ((1, 2), (3, 2), (2, 3))


@pytest.fixture
def celeba(tmp_path):
    """Three aligned images in CelebA's layout and a list of three pairs."""
    for index in (1, 2, 3):
        write_image(tmp_path / 'img_align_celeba' / f'00000{index}.png', photo(218, 178, seed=index))
    with (tmp_path / 'pairs.csv').open('w', newline='') as handle:
        rows = csv.writer(handle)
        rows.writerow(['source', 'target'])
        rows.writerows((f'00000{source}.png', f'00000{target}.png') for source, target in PAIRS)
    return tmp_path


def pairs(root, *more):
    return run('--pairs', root / 'pairs.csv', '--root', root, '-o', root / 'out', *more)


def test_pairs_are_written_in_the_targets_geometry(paint, celeba):
    paint(lambda b: b.source)
    assert pairs(celeba, '--batch', 2) == 0
    assert not inspect(celeba / 'out' / '000000.png').present, 'images for measuring bear no credentials'
    assert sorted(path.name for path in (celeba / 'out').iterdir()) == ['000000.png', '000001.png', '000002.png']
    for index, (source, target) in enumerate(PAIRS):
        # The generated square as it is, and around it the target's canvas.
        expected = photo(218, 178, seed=target)
        expected[60:188, 24:152] = photo(218, 178, seed=source)[60:188, 24:152]
        np.testing.assert_array_equal(read_image(celeba / 'out' / f'{index:06d}.png'), expected)


def test_pairs_of_another_size_are_resized(paint, celeba):
    paint(lambda b: b.target, size=64)
    assert pairs(celeba) == 0
    difference = np.abs(read_image(celeba / 'out' / '000000.png').astype(int) - photo(218, 178, seed=2))
    assert difference.mean() < 1 and difference.max() < 25


def test_pairs_resume_where_they_were_left(paint, celeba):
    asked = paint(lambda b: b.target)
    assert pairs(celeba) == 0
    (celeba / 'out' / '000001.png').unlink()
    write_image(celeba / 'out' / '000002.png', photo(218, 178, seed=9))
    assert pairs(celeba) == 0
    assert asked == [3, 1]
    np.testing.assert_array_equal(read_image(celeba / 'out' / '000002.png'), photo(218, 178, seed=9))
    assert pairs(celeba, '--overwrite') == 0
    np.testing.assert_array_equal(read_image(celeba / 'out' / '000002.png'), photo(218, 178, seed=3))


def test_an_unknown_image_in_the_list_is_one_sentence(paint, celeba, capsys):
    paint(lambda b: b.target)
    (celeba / 'pairs.csv').write_text('source,target\n000001.png,000009.png\n')
    assert pairs(celeba) == 2
    said = capsys.readouterr().err.strip()
    assert '000009.png' in said and '\n' not in said


# --demo

def test_the_demo_shows_source_target_and_swap(paint, tmp_path):
    paint(lambda b: torch.tensor([1.0, -1.0, 1.0]).view(1, 3, 1, 1).expand_as(b.target))
    assert run('--demo', '-o', tmp_path, '--no-color') == 0
    image, sheet = read_image(tmp_path / 'swap.png'), read_image(tmp_path / 'contact.png')
    assert image.shape == demo_photo('astronaut').shape and (image[115:125, 220:230] == [255, 0, 255]).all()
    painted = (sheet == [255, 0, 255]).all(2).any(0)
    assert not painted[:len(painted) * 2 // 3].any() and painted[len(painted) * 2 // 3:].any(), 'the swap stands on the right'


@pytest.mark.parametrize('family', ['cvae', 'cgan', 'ddpm'])
def test_the_demo_with_the_weights_of_the_zoo(tmp_path, family):
    assert run('--demo', '--family', family, '-o', tmp_path) == 0
    before, after = demo_photo('astronaut'), read_image(tmp_path / 'swap.png')
    changed = np.abs(after.astype(int) - before).max(2)
    assert (changed > 8).mean() > 0.005 and (changed > 0).mean() < 0.1
    assert (tmp_path / 'contact.png').exists()


def test_how_a_diffusion_swap_is_drawn_can_be_said(tmp_path, capsys):
    few = '--demo', '--family', 'ddpm', '--sampling', 'steps=2', 'id_guidance=0'
    for number, more in enumerate(((), (), ('guidance=3',), ('--seed', 1))):
        assert run(*few, *more, '-o', tmp_path / str(number)) == 0
    images = [read_image(tmp_path / str(number) / 'swap.png') for number in range(4)]
    assert (images[0] == images[1]).all() and (images[0] != images[2]).any() and (images[0] != images[3]).any()
    capsys.readouterr()
    for words, hint in ((('--family', 'ddpm', '--sampling', 'stepz=2'), 'did you mean steps'),
                        (('--family', 'ddpm', '--sampling', 'steps=0'), 'the setting steps'),
                        (('--family', 'cgan', '--sampling', 'steps=2'), 'draws in one step')):
        assert run('--demo', '-o', tmp_path / 'none', *words) == 2
        assert hint in capsys.readouterr().err
    assert not (tmp_path / 'none').exists()


def test_a_family_without_weights_says_how_to_get_some(tmp_path, monkeypatch, capsys):
    monkeypatch.delitem(swap.weights.TABLE, 'cgan')
    assert run('--demo', '-o', tmp_path) == 2
    assert '--family cgan` and give the family.safetensors' in capsys.readouterr().err


def test_translators_are_sent_to_their_own_script(tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run('--demo', '--family', 'cyclegan')
    assert 'invalid choice' in capsys.readouterr().err
    monkeypatch.setattr(swap, 'load_family', lambda *_: Translator(FamilyConfig(), None))
    assert run('--demo', '--weights', 'drawings.safetensors', '-o', tmp_path) == 2
    assert 'use scripts/translate.py' in capsys.readouterr().err


# Videos

@pytest.fixture
def video(tmp_path):
    """A video of the astronaut, of six frames."""
    image = np.ascontiguousarray(demo_photo('astronaut')[:240, 100:340])
    with av.open(str(tmp_path / 'video.mp4'), 'w') as container:
        stream = container.add_stream('libx264', rate=25)
        stream.height, stream.width, stream.pix_fmt = 240, 240, 'yuv420p'
        for _ in range(6):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format='rgb24')))
        container.mux(stream.encode())
    return tmp_path / 'video.mp4'


def white_pixels(path):
    with av.open(str(path)) as container:
        return [int((frame.to_ndarray(format='rgb24').min(2) > 245).sum()) for frame in container.decode(video=0)]


def test_a_video_gets_the_face_in_every_frame(paint, photos, video, tmp_path, capsys):
    asked = paint(lambda b: torch.ones_like(b.target))
    arguments = ['--source', photos / 'portrait.png', '--target', video, '--no-color', '-o', tmp_path / 'out.mp4']
    assert run(*arguments, '--like', photos / 'astronaut.png') == 0
    captured = capsys.readouterr()
    assert captured.out.strip() == str(tmp_path / 'out.mp4') and 'frames/s' in captured.err and 'limits' in captured.err
    assert sum(asked) == 6 and min(white_pixels(tmp_path / 'out.mp4')) > 10 * max(white_pixels(video)) + 500
    assert inspect(tmp_path / 'out.mp4').generation_info.model == 'cgan'
    with pytest.raises(SystemExit):
        run(*arguments, '--debug')


def test_videos_of_a_folder_that_are_there_stay(paint, photos, video, tmp_path, capsys):
    asked = paint(lambda b: b.target)
    (tmp_path / 'videos').mkdir()
    for name in ('a.mp4', 'b.mp4'):
        shutil.copy(video, tmp_path / 'videos' / name)
    arguments = ['--source', photos / 'portrait.png', '--target', tmp_path / 'videos', '-o', tmp_path / 'out', '--no-provenance']
    assert run(*arguments) == 0 and sum(asked) == 12
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['a.mp4', 'b.mp4']
    (tmp_path / 'out' / 'b.mp4').unlink()
    assert run(*arguments) == 0 and sum(asked) == 18 and 'there already' in capsys.readouterr().err


def test_what_is_wrong_with_a_video_is_one_sentence(paint, photos, tmp_path, capsys):
    paint(lambda b: b.target)
    (tmp_path / 'notes.mp4').write_text('no video')
    assert run('--source', photos / 'portrait.png', '--target', tmp_path / 'notes.mp4', '-o', tmp_path / 'out.mp4') == 2
    said = capsys.readouterr().err.strip()
    assert 'cannot be read' in said and '\n' not in said and not (tmp_path / 'out.mp4.parts').exists()
