"""Masks of swaps at occluders and at the outline of the head."""
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from models import weights
from models.batch import PARTS
from models.images import to_tensor
from models.perception.build import PHOTO_PARSER, build_perception
from models.perception.detection import build_detector
from models.pipelines import occlusion
from models.pipelines.io.images import read_image
from models.pipelines.photo import FaceSwapper
from models.registry import SWAPPER, load_family

CASES = Path(__file__).parents[2] / 'fixtures/cases'
SKIN, HAIR, GLASSES, NECK = (PARTS.index(name) for name in ('skin', 'hair', 'eye_g', 'neck'))


@pytest.fixture(scope='module')
def swapper():
    perception = build_perception('identity-mobilefacenet', None, PHOTO_PARSER)
    return FaceSwapper(load_family(weights.path(SWAPPER), perception), perception, build_detector())


@pytest.mark.parametrize('name, max_changed', [('microphone.png', 0.02), ('hand.png', 0.15), ('subtitle.png', 0.05)])
def test_occluders_of_a_photo_are_kept(swapper, name, max_changed):
    source, clear, target = (read_image(CASES / file) for file in ('drawn-source.jpg', 'face.jpg', name))
    result = swapper.swap(source, target).image
    occluder = np.abs(clear.astype(int) - target).max(2) > 24
    changed = np.abs(result.astype(int) - target).max(2) > 8
    assert changed[occluder].mean() < max_changed
    assert changed[~occluder].mean() > 0.02, 'the rest of the face is swapped'


def test_face_without_occluders_is_replaced_completely(swapper):
    source, clear = (read_image(CASES / file) for file in ('drawn-source.jpg', 'face.jpg'))
    coverage = swapper.swap(source, clear).coverage
    outlines, _ = cv2.findContours((coverage > 0.5).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    assert len(outlines) == 1, 'one component without a hole'
    assert (coverage > 0.5).mean() > 0.08


class Parser(torch.nn.Module):
    """Returns the part whose id is the red channel times 500, with the given probability, and background otherwise."""

    def __init__(self, probability=0.99):
        super().__init__()
        self.probability = probability

    def forward(self, images):
        part = (images[:, 0] * 500).round().long().clamp(0, 18)
        parts = F.one_hot(part, 19).permute(0, 3, 1, 2) * self.probability
        background = F.one_hot(torch.zeros_like(part), 19).permute(0, 3, 1, 2) * (1 - self.probability)
        return (parts + background + 1e-6).log()


def parts_image(*boxes):
    """(1,3,64,64) for Parser, with boxes (top, bottom, left, right, id) painted in order."""
    image = torch.zeros(1, 3, 64, 64)
    for top, bottom, left, right, part in boxes:
        image[0, :, top:bottom, left:right] = part / 500
    return image


def face_mask(target, swap):
    """Mask (64,64) of a parsed face."""
    masks, missed = occlusion.face_masks(Parser(), target, swap)
    assert missed == [False]
    return F.interpolate(masks, (64, 64), mode='area')[0, 0]


def test_wider_swap_does_not_leave_the_head():
    face, neck = (16, 44, 20, 40, SKIN), (44, 60, 24, 36, NECK)
    mask = face_mask(parts_image(face, neck), parts_image((10, 56, 8, 50, SKIN)))
    assert (mask[20:40, 22:38] == 1).all() and (mask[46:54, 26:34] == 1).all(), 'face, and jaw in front of the neck'
    assert mask[:, :19].sum() == 0 == mask[:, 41:].sum() and mask[:15].sum() == 0, 'no background'


@pytest.mark.parametrize('part', [HAIR, GLASSES, 0])
def test_parsed_occluders_inside_and_at_the_border_are_kept(part):
    for box in ((28, 34, 20, 40, part), (36, 44, 30, 40, part)):
        target = parts_image((16, 44, 20, 40, SKIN), box)
        mask = face_mask(target, parts_image((16, 44, 20, 40, SKIN)))
        assert mask[box[0] + 1:box[1] - 1, box[2] + 1:box[3]].sum() == 0 and mask[18:26, 22:38].mean() == 1


def test_occluder_parsed_as_skin_is_kept_by_its_color():
    target, swap = (parts_image((8, 56, 12, 52, SKIN)) for _ in range(2))
    target[:, 1:, 38:50, 26:38] = -1
    mask = face_mask(target, swap)
    assert mask[40:48, 28:36].sum() == 0 and mask[14:32, 16:48].mean() == 1
    swap[:, 1:] -= 0.6  # another complexion
    assert face_mask(parts_image((8, 56, 12, 52, SKIN)), swap)[14:48, 16:48].mean() == 1


def test_lettering_is_separated_from_skin_highlights_and_teeth():
    skin = np.full((256, 256), 1.0, np.float32)
    face = np.full((128, 128, 3), (190, 140, 120), np.uint8)
    highlight = cv2.circle(face.copy(), (60, 60), 14, (255, 250, 245), -1)
    text = face.copy()
    for y in (50, 70, 90):
        cv2.putText(text, 'SUBTITLE', (10, y), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 1)

    def lettering(image, features=0.0):
        return occlusion.lettering(to_tensor(image), skin, np.full_like(skin, features))

    letters = cv2.resize((text != face).any(2).astype(np.uint8), (256, 256), interpolation=cv2.INTER_NEAREST) > 0
    assert lettering(text)[letters].mean() > 0.9 and lettering(text)[:60].sum() == 0
    assert lettering(face).sum() == lettering(highlight).sum() == lettering(text, features=1.0).sum() == 0
