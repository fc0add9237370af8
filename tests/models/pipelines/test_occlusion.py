"""What is in front of a face stays as it is, and a swap stays on the head."""
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from models import weights
from models.batch import PARTS
from models.perception.build import PHOTO_PARSER, build_perception
from models.perception.detection import build_detector
from models.pipelines import blend, occlusion
from models.pipelines.io.images import read_image
from models.pipelines.photo import FaceSwapper
from models.pipelines.video.smoothing import TemporalSmoothing
from models.registry import SWAPPER, load_family

CASES = Path(__file__).parents[2] / 'fixtures/cases'
SKIN, HAIR, GLASSES, NECK = (PARTS.index(name) for name in ('skin', 'hair', 'eye_g', 'neck'))


@pytest.fixture(scope='module')
def swapper():
    perception = build_perception('identity-mobilefacenet', None, PHOTO_PARSER)
    return FaceSwapper(load_family(weights.path(SWAPPER), perception), perception, build_detector())


@pytest.mark.parametrize('name, lost', [('microphone.png', 0.02), ('hand.png', 0.15), ('subtitle.png', 0.05)])
def test_what_is_in_front_of_a_photo_stays(swapper, name, lost):
    source, clear, target = (read_image(CASES / file) for file in ('drawn-source.jpg', 'face.jpg', name))
    swapped = swapper.swap(source, target).image
    hidden = np.abs(clear.astype(int) - target).max(2) > 24
    changed = np.abs(swapped.astype(int) - target).max(2) > 8
    assert changed[hidden].mean() < lost
    assert changed[~hidden].mean() > 0.02, 'the rest of the face is swapped'


def test_a_face_with_nothing_in_front_loses_nothing(swapper):
    source, clear = (read_image(CASES / file) for file in ('drawn-source.jpg', 'face.jpg'))
    cover = swapper.swap(source, clear).coverage
    found, _ = cv2.findContours((cover > 0.5).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    assert len(found) == 1, 'one piece without a hole'
    assert (cover > 0.5).mean() > 0.08


class Parser(torch.nn.Module):
    """Sees the part whose id the red channel shows, as id / 500, with the given probability, else background."""

    def __init__(self, probability=0.99):
        super().__init__()
        self.probability = probability

    def forward(self, images):
        part = (images[:, 0] * 500).round().long().clamp(0, 18)
        sure = F.one_hot(part, 19).permute(0, 3, 1, 2) * self.probability
        background = F.one_hot(torch.zeros_like(part), 19).permute(0, 3, 1, 2) * (1 - self.probability)
        return (sure + background + 1e-6).log()


def parsed(*boxes):
    """(1,3,64,64) for Parser: (top, bottom, left, right, id) painted one after the other."""
    image = torch.zeros(1, 3, 64, 64)
    for top, bottom, left, right, part in boxes:
        image[0, :, top:bottom, left:right] = part / 500
    return image


def mask_of(target, swap, **kwargs):
    masks, missed = occlusion.face_masks(Parser(**kwargs), target, swap)
    assert missed == [False]
    return F.interpolate(masks, (64, 64), mode='area')[0, 0]


def test_a_swap_with_a_wider_face_does_not_leave_the_head():
    face, neck = (16, 44, 20, 40, SKIN), (44, 60, 24, 36, NECK)
    mask = mask_of(parsed(face, neck), parsed((10, 56, 8, 50, SKIN)))
    assert (mask[20:40, 22:38] == 1).all() and (mask[46:54, 26:34] == 1).all(), 'the face, and the jaw over the neck'
    assert mask[:, :19].sum() == 0 == mask[:, 41:].sum() and mask[:15].sum() == 0, 'nothing of the background'


@pytest.mark.parametrize('part', [HAIR, GLASSES, 0])
def test_hair_glasses_and_objects_stay_in_front_at_the_border_of_a_face_too(part):
    for box in ((28, 34, 20, 40, part), (36, 44, 30, 40, part)):
        target = parsed((16, 44, 20, 40, SKIN), box)
        mask = mask_of(target, parsed((16, 44, 20, 40, SKIN)))
        assert mask[box[0] + 1:box[1] - 1, box[2] + 1:box[3]].sum() == 0 and mask[18:26, 22:38].mean() == 1


def test_an_object_that_the_parser_takes_for_skin_stays_where_the_swap_shows_something_else():
    target, swap = (parsed((8, 56, 12, 52, SKIN)) for _ in range(2))
    target[:, 1:, 38:50, 26:38] = -1
    mask = mask_of(target, swap)
    assert mask[40:48, 28:36].sum() == 0 and mask[14:32, 16:48].mean() == 1
    swap[:, 1:] -= 0.6  # another complexion is no object
    assert mask_of(parsed((8, 56, 12, 52, SKIN)), swap)[14:48, 16:48].mean() == 1


def test_bright_letters_are_told_from_smooth_skin_and_teeth():
    skin = np.full((256, 256), 1.0, np.float32)
    face = np.full((128, 128, 3), (190, 140, 120), np.uint8)
    shine = cv2.circle(face.copy(), (60, 60), 14, (255, 250, 245), -1)
    text = face.copy()
    for y in (50, 70, 90):
        cv2.putText(text, 'SUBTITLE', (10, y), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 1)

    def found(image, features=0.0):
        detail = torch.from_numpy(image).permute(2, 0, 1).float() / 127.5 - 1
        return occlusion.lettering(detail, skin, np.full_like(skin, features))

    letters = cv2.resize((text != face).any(2).astype(np.uint8), (256, 256), interpolation=cv2.INTER_NEAREST) > 0
    assert found(text)[letters].mean() > 0.9 and found(text)[:60].sum() == 0
    assert found(face).sum() == found(shine).sum() == found(text, features=1.0).sum() == 0


def test_gaps_as_thin_as_letters_cost_no_more_of_the_face_than_their_edges():
    mask = torch.zeros(1, 1, 256, 256)
    mask[..., 40:220, 40:220] = 1
    gap = mask.clone()
    gap[..., 126:130, :] = 0
    soft = blend.soften(gap)[0, 0, :, 128]
    assert soft[126:130].max() == 0 and soft[133:180].min() > 0.99 and soft[76:123].min() > 0.99


def test_an_object_that_moves_in_front_of_a_filmed_face_does_not_smear():
    """A black bar moves 6 pixels a frame down a face of 64; it stays as filmed in every frame, and what it leaves is swapped."""
    steady, made = TemporalSmoothing(), np.full((64, 64, 3), 0.8, np.float32)
    for top in range(8, 50, 6):
        filmed, mask = np.zeros((64, 64, 3), np.float32), np.ones((256, 256), np.float32)
        filmed[top:top + 6], mask[4 * top:4 * top + 24] = -1, 0
        steady.smooth_face(filmed, made)
        held = steady.smooth_mask(mask)
        assert held[4 * top + 4:4 * top + 20].max() < 0.05
        assert held[4 * max(top - 7, 0):4 * top - 5].min(initial=1) > 0.95
    steady.smooth_face(filmed, made)
    assert 0.3 < steady.smooth_mask(np.zeros((256, 256), np.float32))[10:20].mean() < 0.7, 'at rest the mask is averaged'
