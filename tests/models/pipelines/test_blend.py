"""Blending of generated faces into photos: masks, color matching, multi-band mixing."""
import numpy as np
import pytest
import torch

from models import geometry
from models.pipelines import blend
from models.pipelines.photo import FaceSwapper
from tests.models.stubs import FixedDetector, FunctionFamily, OvalParser, face_at, perception, photo

SOURCE = {(100, 120): [face_at(60, 50, 20)]}
FACES = {(300, 400): [face_at(200, 160, 70)], **SOURCE}


def swapper(paint, faces=FACES, *, size=64, parser=None, color=False):
    return FaceSwapper(FunctionFamily(paint, size), perception(parser), FixedDetector(faces), color=color)


def white(batch):
    return torch.ones_like(batch.target)


@pytest.mark.parametrize('parser', [OvalParser(), None])
@pytest.mark.parametrize('face', [face_at(200, 160, 70, 10), face_at(60, 280, 24, -30), face_at(385, 10, 80)])
def test_pixels_outside_the_mask_keep_their_bytes(face, parser):
    target = photo(300, 400)
    faces = {(300, 400): [face], **SOURCE}
    result = swapper(lambda batch: -batch.target.sign(), faces, parser=parser).swap(photo(100, 120, seed=1), target)
    changed = (result.image != target).any(2)
    assert 0 < changed.mean() < 0.5
    points = np.argwhere(changed)[:, ::-1].astype(np.float32)
    matrix = geometry.align(torch.from_numpy(face.points), geometry.template('face'))
    inside = geometry.apply(matrix, torch.from_numpy(points))
    assert inside.min() > 4 and inside.max() < 123, 'the oval and the hull end inside the crop'


def test_reconstruction_hardly_changes_the_photo():
    target = photo(300, 400)
    faces = {(300, 400): [face_at(200, 160, 40, 8)], **SOURCE}
    for color in (False, True):
        result = swapper(lambda batch: batch.target, faces, size=128, parser=OvalParser(), color=color).swap(
            photo(100, 120, seed=1), target)
        difference = np.abs(result.image.astype(int) - target)
        assert difference.max() <= 6 and difference.mean() < 0.3


def test_center_of_the_face_is_the_generated_one():
    result = swapper(white, parser=OvalParser()).swap(photo(100, 120, seed=1), photo(300, 400))
    x, y = FACES[300, 400][0].points[2].round().astype(int)
    assert (result.image[y - 5:y + 6, x - 5:x + 6] == 255).all()


def test_seam_is_gradual():
    result = swapper(white, parser=OvalParser()).swap(photo(100, 120), np.full((300, 400, 3), 100, np.uint8))
    steps = np.abs(np.diff(result.image[..., 0].astype(int), axis=1)).max()
    assert result.image.max() == 255 and steps < 0.2 * 155


def test_color_matching_removes_a_tint():
    target = (photo(300, 400) * 0.5 + 60).astype(np.uint8)

    def tinted(batch):
        return batch.target * 0.8 + torch.tensor([0.2, 0.0, -0.2]).view(1, 3, 1, 1)

    errors = []
    for color in (False, True):
        result = swapper(tinted, size=128, parser=OvalParser(), color=color).swap(photo(100, 120), target)
        errors.append(np.abs(result.image.astype(int) - target).mean())
    assert errors[1] < 0.35 * errors[0]


def test_hull_of_the_landmarks_is_used_without_a_parsed_face():
    for parser in (None, OvalParser('background'), OvalParser('skin')):
        result = swapper(white, parser=parser).swap(photo(100, 120), photo(300, 400))
        assert any('hull' in note for note in result.notes)
        for x, y in FACES[300, 400][0].points.round().astype(int):
            assert (result.image[y, x] > 240).all()
    assert swapper(lambda batch: batch.target, parser=OvalParser()).swap(photo(100, 120), photo(300, 400)).notes == []


def test_soft_masks_are_zero_outside_hard_masks():
    hard = torch.zeros(1, 1, 64, 64)
    hard[..., 10:50, 0:40] = 1
    soft = blend.soften(hard)
    assert (soft[hard == 0] == 0).all() and soft.max() > 0.99
    assert (soft[..., 0] == 0).all(), 'border of the crop'


def test_thin_gaps_of_a_mask_are_feathered_narrowly():
    mask = torch.zeros(1, 1, 256, 256)
    mask[..., 40:220, 40:220] = 1
    mask[..., 126:130, :] = 0
    soft = blend.soften(mask)[0, 0, :, 128]
    assert soft[126:130].max() == 0 and soft[133:180].min() > 0.99 and soft[76:123].min() > 0.99


class OccludedOvalParser(OvalParser):
    """OvalParser with a bar of hair, a bar of background and a single pixel of hair across its center."""

    def forward(self, images):
        logits, scale = super().forward(images), images.shape[-1] / 32
        for (top, bottom, left, right), part in (((10, 13, 12, 20), 13), ((19, 22, 12, 20), 0)):
            logits[:, part, round(top * scale):round(bottom * scale), round(left * scale):round(right * scale)] = 40
        logits[:, 13, round(16 * scale), round(16 * scale)] = 40
        return logits


def test_parsed_occluders_are_kept_and_noise_is_ignored():
    target = photo(300, 400)
    free, occluded = (swapper(white, parser=parser).swap(photo(100, 120), target)
                      for parser in (OvalParser(), OccludedOvalParser()))
    matrix = geometry.align(torch.from_numpy(FACES[300, 400][0].points), geometry.template('face').scaled(32))
    for point, kept in (((16.0, 11.0), True), ((16.0, 20.0), True), ((16.0, 16.0), False)):
        x, y = geometry.apply(geometry.invert(matrix), torch.tensor([point]))[0].round().int().tolist()
        assert free.coverage[y, x] > 0.99
        assert (occluded.image[y, x] == target[y, x]).all() == kept and (occluded.coverage[y, x] == 0) == kept


def test_multiband_mix_changes_detail_more_sharply_than_tones():
    black, widths = np.zeros((200, 200, 3), np.float32), []
    checkerboard = np.indices((200, 200)).sum(0)[..., None] % 2 * np.ones(3, np.float32) * 200 - 100
    mask = np.clip((np.arange(200, dtype=np.float32) - 80) / 40, 0, 1)[None].repeat(200, 0)
    for image in (black + 100, checkerboard.astype(np.float32)):
        weight = np.abs(blend.multiband_mix(black, image, mask)).mean((0, 2)) / 100
        widths.append(((weight > 0.1) & (weight < 0.9)).sum())
        assert weight[:80].max() == 0 and weight[160:].min() > 0.98
    assert widths[1] < 0.6 * widths[0]


def test_monochrome_images():
    image = photo(40, 40)
    assert not blend.is_monochrome(image) and blend.is_monochrome(blend.to_gray(image))
    assert blend.is_monochrome(np.zeros((1, 1, 3), np.uint8)) and blend.is_monochrome(image[:0])
    tinted = np.full((4, 4, 3), (100, 110, 100), np.uint8)
    assert not blend.is_monochrome(tinted) and blend.is_monochrome(tinted, 12)
