"""Photos in, finished photos out: reading, aligning, blending, choosing faces."""
import os

import numpy as np
import pytest
import torch
from PIL import Image

from models import geometry
from models.pipelines import blend
from models.pipelines.io.contact_sheet import contact_sheet, portrait
from models.pipelines.io.images import read_image, write_image
from models.pipelines.photo import FaceSwapper, choose, crop_face
from tests.models.stubs import Oval, Painter, Planted, face_at, perception, photo


def swapper(paint, faces, *, size=64, parser=None, color=False):
    return FaceSwapper(Painter(paint, size), perception(parser), Planted(faces), color=color)


# Reading and writing

@pytest.mark.parametrize('orientation', range(1, 9))
def test_exif_rotation_is_honoured(tmp_path, orientation):
    upright = photo(24, 40)
    turned = {1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1], 5: upright.transpose(1, 0, 2),
              6: np.rot90(upright, 1), 7: upright[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(upright, -1)}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(turned)).save(tmp_path / 'a.png', exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / 'a.png'), upright)


@pytest.mark.parametrize('mode', ['L', 'RGBA', 'P', 'CMYK', 'I;16'])
def test_any_color_mode_becomes_rgb(tmp_path, mode):
    image = Image.fromarray(np.full((8, 9), 30000, np.uint16)) if mode == 'I;16' else Image.new(mode, (9, 8))
    image.save(tmp_path / 'a.tif')
    assert read_image(tmp_path / 'a.tif').shape == (8, 9, 3)


def test_unreadable_files_are_one_sentence(tmp_path):
    (tmp_path / 'notes.jpg').write_text('no image')
    Image.fromarray(photo(200, 200)).save(tmp_path / 'whole.jpg')
    (tmp_path / 'half.jpg').write_bytes((tmp_path / 'whole.jpg').read_bytes()[:2000])
    Image.new('1', (20001, 10000)).save(tmp_path / 'huge.png')
    for name, word in (('absent.jpg', 'no file'), ('notes.jpg', 'no image'), ('half.jpg', 'damaged'),
                       ('huge.png', '200 million'), ('', 'no file')):
        with pytest.raises(ValueError, match=word) as caught:
            read_image(tmp_path / name)
        assert '\n' not in str(caught.value) and str(tmp_path) in str(caught.value)


def test_a_image_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    target = tmp_path / 'new' / 'a.png'
    write_image(target, photo(20, 30))
    np.testing.assert_array_equal(read_image(target), photo(20, 30))

    def full(*args):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'replace', full)
    with pytest.raises(ValueError, match='the disk is full'):
        write_image(target, photo(20, 30, seed=1))
    assert [path.name for path in target.parent.iterdir()] == ['a.png']
    np.testing.assert_array_equal(read_image(target), photo(20, 30))


def test_an_unknown_ending_is_refused(tmp_path):
    with pytest.raises(ValueError, match='.png'):
        write_image(tmp_path / 'a.doc', photo(20, 30))


# Aligning

@pytest.mark.parametrize('face', [face_at(300, 200, 90), face_at(120, 130, 30, 35), face_at(400, 300, 60, -80)])
def test_a_crop_shows_the_face_where_the_template_says(face):
    image = np.zeros((420, 560, 3), np.uint8)
    yy, xx = np.mgrid[:420, :560]
    radius = np.linalg.norm(face.points[1] - face.points[0]) / 8
    for x, y in face.points:
        image[np.hypot(xx - x, yy - y) < radius] = 255
    crop = crop_face(image, face.points, 64)[0, 0]
    # The best similarity brings our five points within a pixel of the template's; each must be lit, and little else.
    for x, y in geometry.template('face').scaled(64).points:
        assert crop[round(y), round(x)] > 0.5
    assert (crop > 0).float().mean() < 0.06


def test_a_crop_does_not_depend_on_how_much_photo_is_around(tmp_path):
    image, face = photo(500, 700), face_at(350, 250, 40, 12)
    part = image[130:380, 210:500]
    alone = crop_face(part, face.points - [210, 130], 64)
    torch.testing.assert_close(crop_face(image, face.points, 64), alone, atol=2e-2, rtol=0)


def test_a_face_half_outside_the_photo_still_gives_a_crop():
    crop = crop_face(photo(200, 200), face_at(2, 190, 60).points, 64)
    assert crop.shape == (1, 3, 64, 64) and torch.isfinite(crop).all()


# Blending

@pytest.mark.parametrize('parser', [Oval(), None])
@pytest.mark.parametrize('face', [face_at(200, 160, 70, 10), face_at(60, 280, 24, -30), face_at(385, 10, 80)])
def test_pixels_outside_the_mask_keep_their_bytes(face, parser):
    target = photo(300, 400)
    other = photo(100, 120, seed=1)
    faces = {(300, 400): [face], (100, 120): [face_at(60, 50, 20)]}
    result = swapper(lambda b: -b.target.sign(), faces, parser=parser).swap(other, target)
    changed = (result.image != target).any(2)
    assert 0 < changed.mean() < 0.5
    points = np.argwhere(changed)[:, ::-1].astype(np.float32)
    own = geometry.template('face')
    inside = geometry.apply(geometry.align(torch.from_numpy(face.points), own), torch.from_numpy(points))
    # The oval, and the hull too, end well inside the crop: nothing near or outside its border may change.
    assert inside.min() > 4 and inside.max() < 123


def test_a_generator_that_returns_the_target_hardly_changes_the_photo():
    target = photo(300, 400)
    faces = {(300, 400): [face_at(200, 160, 40, 8)], (100, 120): [face_at(60, 50, 20)]}
    for color in (False, True):
        result = swapper(lambda b: b.target, faces, size=128, parser=Oval(), color=color).swap(photo(100, 120, seed=1), target)
        difference = np.abs(result.image.astype(int) - target)
        assert difference.max() <= 6 and difference.mean() < 0.3


def test_the_middle_of_the_face_is_the_generators_alone():
    face = face_at(200, 160, 70)
    faces = {(300, 400): [face], (100, 120): [face_at(60, 50, 20)]}
    result = swapper(lambda b: torch.ones_like(b.target), faces, parser=Oval()).swap(photo(100, 120, seed=1), photo(300, 400))
    x, y = face.points[2].round().astype(int)
    assert (result.image[y - 5:y + 6, x - 5:x + 6] == 255).all()


def test_the_seam_is_gradual():
    gray = np.full((300, 400, 3), 100, np.uint8)
    faces = {(300, 400): [face_at(200, 160, 70)], (100, 120): [face_at(60, 50, 20)]}
    result = swapper(lambda b: torch.ones_like(b.target), faces, parser=Oval()).swap(photo(100, 120), gray)
    steps = np.abs(np.diff(result.image[..., 0].astype(int), axis=1)).max()
    assert result.image.max() == 255 and steps < 0.2 * 155


def test_color_match_takes_away_a_tint():
    face = face_at(200, 160, 70)
    faces = {(300, 400): [face], (100, 120): [face_at(60, 50, 20)]}
    target = (photo(300, 400) * 0.5 + 60).astype(np.uint8)

    def tinted(batch):
        return batch.target * 0.8 + torch.tensor([0.2, 0.0, -0.2]).view(1, 3, 1, 1)

    errors = []
    for color in (False, True):
        result = swapper(tinted, faces, size=128, parser=Oval(), color=color).swap(photo(100, 120), target)
        errors.append(np.abs(result.image.astype(int) - target).mean())
    assert errors[1] < 0.35 * errors[0]


def test_the_hull_is_the_last_resort_and_says_so():
    faces = {(300, 400): [face_at(200, 160, 70)], (100, 120): [face_at(60, 50, 20)]}
    for parser in (None, Oval('background'), Oval('skin')):
        result = swapper(lambda b: torch.ones_like(b.target), faces, parser=parser).swap(photo(100, 120), photo(300, 400))
        assert any('hull' in note for note in result.notes)
        for x, y in faces[300, 400][0].points.round().astype(int):
            assert (result.image[y, x] > 240).all()
    seen = swapper(lambda b: b.target, faces, parser=Oval()).swap(photo(100, 120), photo(300, 400))
    assert seen.notes == []


def test_soft_masks_stay_inside_the_hard_ones():
    hard = torch.zeros(1, 1, 64, 64)
    hard[..., 10:50, 0:40] = 1
    soft = blend.soften(hard)
    assert (soft[hard == 0] == 0).all() and soft.max() > 0.99
    assert (soft[..., 0] == 0).all(), 'the border of the crop stays as it was'


class Barred(Oval):
    """Sees a bar of hair, a hand (background) and one stray pixel of it across the middle of the oval."""

    def forward(self, images):
        logits, side = super().forward(images), images.shape[-1] / 32
        for (low, high, left, right), part in (((10, 13, 12, 20), 13), ((19, 22, 12, 20), 0)):
            logits[:, part, round(low * side):round(high * side), round(left * side):round(right * side)] = 40
        logits[:, 13, round(16 * side), round(16 * side)] = 40
        return logits


def test_hair_and_hands_stay_in_front():
    faces = {(300, 400): [face_at(200, 160, 70)], (100, 120): [face_at(60, 50, 20)]}
    target = photo(300, 400)
    plain, barred = (swapper(lambda b: torch.ones_like(b.target), faces, parser=parser).swap(photo(100, 120), target)
                     for parser in (Oval(), Barred()))
    crop = geometry.invert(geometry.align(torch.from_numpy(faces[300, 400][0].points), geometry.template('face').scaled(32)))
    for place, kept in (((16.0, 11.0), True), ((16.0, 20.0), True), ((16.0, 16.0), False)):
        x, y = geometry.apply(crop, torch.tensor([place]))[0].round().int().tolist()
        assert plain.coverage[y, x] > 0.99
        assert (barred.image[y, x] == target[y, x]).all() == kept and (barred.coverage[y, x] == 0) == kept


def test_detail_changes_over_more_sharply_than_tones():
    flat, width = np.zeros((200, 200, 3), np.float32), []
    checks = np.indices((200, 200)).sum(0)[..., None] % 2 * np.ones(3, np.float32) * 200 - 100
    mask = np.clip((np.arange(200, dtype=np.float32) - 80) / 40, 0, 1)[None].repeat(200, 0)
    for image in (flat + 100, checks.astype(np.float32)):
        share = np.abs(blend.multiband_mix(flat, image, mask)).mean((0, 2)) / 100
        width.append(((share > 0.1) & (share < 0.9)).sum())
        assert share[:80].max() == 0 and share[160:].min() > 0.98
    assert width[1] < 0.6 * width[0]


# Which face

def test_the_source_gives_its_identity_and_the_target_its_place():
    seen = []

    def paint(batch):
        seen.append(batch)
        return batch.target

    faces = {(300, 400): [face_at(200, 160, 70), face_at(60, 60, 30)], (100, 120): [face_at(60, 50, 20)]}
    red, blue = np.full((100, 120, 3), [250, 10, 10], np.uint8), np.full((300, 400, 3), [10, 10, 250], np.uint8)
    swapper(paint, faces, parser=Oval()).swap(red, blue, target_face='all')
    batch, = seen
    assert len(batch) == 2 and not batch.same.any()
    assert batch.source[:, 0].mean() > 0.9 > -0.9 > batch.target[:, 0].mean()
    torch.testing.assert_close(batch.source_embedding.norm(dim=1), torch.ones(2))
    assert (batch.source_embedding[:, 0] > batch.source_embedding[:, 2]).all()
    expected = torch.tensor(geometry.template('face').scaled(64).points).expand(2, 5, 2)
    assert (batch.target_landmarks - expected).abs().max() < 1, 'found landmarks come along'


def test_one_of_several_faces_is_chosen():
    several = [face_at(200, 160, 70), face_at(60, 60, 30), face_at(350, 60, 20)]
    faces = {(300, 400): several, (100, 120): [face_at(60, 50, 20)]}
    white = swapper(lambda b: torch.ones_like(b.target), faces, parser=Oval())

    def lit(**which):
        result = white.swap(photo(100, 120), np.zeros((300, 400, 3), np.uint8), **which)
        noses = [face.points[2].round().astype(int) for face in several]
        return [int(result.image[y, x, 0] == 255) for x, y in noses], result.notes

    assert lit()[0] == [1, 0, 0] and any('3 faces' in note for note in lit()[1])
    assert lit(target_face='1') == ([0, 1, 0], [])
    assert lit(target_face=2) == ([0, 0, 1], [])
    assert lit(target_face='all') == ([1, 1, 1], [])


def test_no_face_and_too_many_are_one_sentence():
    one, two = [face_at(0, 0, 20)], [face_at(0, 0, 30), face_at(90, 0, 20)]
    for faces, choice, word in (([], 'largest', 'no face was found in the target'), (two, None, '2 faces'),
                                (two, '2', 'largest, or'), (two, 'first', "'first'"), (one, '-1', "'-1'"),
                                (one, 1, 'is no face')):
        with pytest.raises(ValueError, match=word) as caught:
            choose(faces, choice, 'target')
        assert '\n' not in str(caught.value)
    assert choose(one, None, 'source') == one
    plain = swapper(lambda b: b.target, {(300, 400): one, (100, 120): two})
    with pytest.raises(ValueError, match='source shows 2 faces'):
        plain.swap(photo(100, 120), photo(300, 400))
    with pytest.raises(ValueError, match='one face can be the source'):
        plain.swap(photo(100, 120), photo(300, 400), source_face='all')


def test_faces_are_found_by_id_similarity():
    """The stand-in's identity of a face is its mean color."""
    several = [face_at(300, 100, 30), face_at(100, 100, 26)]
    faces = {(200, 400): several, (90, 90): [face_at(45, 45, 16)], (91, 91): [face_at(45, 45, 16)], (92, 92): []}
    target = np.full((200, 400, 3), [255, 0, 0], np.uint8)
    target[:, :200] = [0, 0, 255]
    red, blue = np.full((90, 90, 3), [255, 0, 0], np.uint8), np.full((91, 91, 3), [0, 0, 255], np.uint8)
    copier = swapper(lambda b: b.source, faces, parser=Oval())

    def noses(swapped):
        return [swapped.image[y, x].tolist() for x, y in (face.points[2].round().astype(int) for face in several)]

    assert noses(copier.swap(red, target, reference=blue)) == [[255, 0, 0], [255, 0, 0]], 'the blue one got the red face'
    exchanged = copier.swap_identities(target, [(red, blue), (blue, red)])
    assert noses(exchanged) == [[0, 0, 255], [255, 0, 0]] and exchanged.notes == []
    assert exchanged.coverage[100, 100] > 0.9 and exchanged.coverage[100, 200] == 0
    one = copier.swap_identities(target, [(blue, red)])
    assert noses(one) == [[255, 0, 0], [255, 0, 0]] and len(one.targets) == 1
    with pytest.raises(ValueError, match='reference 0'):
        copier.swap(red, target, reference=np.zeros((92, 92, 3), np.uint8))


def test_nobody_is_taken_for_a_stranger(monkeypatch):
    faces = {(300, 400): [face_at(200, 160, 70)], (100, 120): [face_at(60, 50, 20)]}
    plain = swapper(lambda b: b.target, faces, parser=Oval())
    monkeypatch.setattr(plain, 'embed', lambda image, found: torch.eye(2)[[int(len(image) == 100)]].expand(len(found), 2))
    for call in (lambda: plain.swap(photo(100, 120), photo(300, 400), reference=photo(100, 120)),
                 lambda: plain.swap_identities(photo(300, 400), [(photo(100, 120), photo(100, 120))])):
        with pytest.raises(ValueError, match='in the target') as caught:
            call()
        assert '\n' not in str(caught.value)


# Contact sheets

def test_a_contact_sheet_shows_every_image_in_its_cell():
    colors = [[(255, 0, 0), (0, 255, 0)], [(0, 0, 255), (255, 0, 255)]]
    sizes = [[(30, 60), (30, 50)], [(50, 60), (50, 50)]]
    rows = [[np.full((*size, 3), color, np.uint8) for size, color in zip(*row)] for row in zip(sizes, colors)]
    sheet = contact_sheet(rows, ['source', 'swap'], side=64)
    for row in colors:
        for color in row:
            assert (sheet == color).all(2).sum() > 1000
    assert (sheet[:36] < 100).any(), 'there are headings'
    with pytest.raises(ValueError, match='2 images'):
        contact_sheet([rows[0][:1]], ['source', 'swap'])


def test_a_portrait_stays_inside_the_image():
    image = photo(120, 200)
    for face in (face_at(5, 5, 30), face_at(195, 115, 30), face_at(100, 60, 90)):
        cut = portrait(image, face)
        assert cut.shape[0] == cut.shape[1] <= 120
