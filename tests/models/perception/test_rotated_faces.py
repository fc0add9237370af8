"""Detection of rotated faces and of small faces in large photos; plausibility of landmarks."""
import cv2
import numpy as np
import pytest

from models.perception.detection import build_detector
from models.perception.detection.face import Face, is_plausible
from models.pipelines.demo import demo_photo
from models.pipelines.photo import choose
from models.pipelines.video.tracking import Tracker
from tests.models.stubs import face_at


@pytest.fixture(scope='module')
def mtcnn():
    return build_detector('mtcnn')


@pytest.fixture(scope='module')
def portrait():
    """(256,256,3), a frontal face 60 pixels wide."""
    return cv2.resize(demo_photo('astronaut')[:300, 70:370], (256, 256), interpolation=cv2.INTER_AREA)


def rotated(image, degrees, scale=0.8):
    """The image rotated counterclockwise about its center, and the transform (2,3) of its points."""
    center = (image.shape[1] - 1) / 2, (image.shape[0] - 1) / 2
    matrix = cv2.getRotationMatrix2D(center, degrees, scale)
    return cv2.warpAffine(image, matrix, image.shape[1::-1], borderMode=cv2.BORDER_REFLECT), matrix


def error(points, expected):
    """Root mean squared distance, relative to the distance of the eyes."""
    return np.sqrt(((points - expected) ** 2).sum(1).mean()) / np.linalg.norm(expected[1] - expected[0])


@pytest.mark.parametrize('quarters', [1, 2, 3])
def test_rotation_by_90_degrees_rotates_the_landmarks(mtcnn, portrait, quarters):
    upright, = mtcnn.detect(portrait)
    predicted, = mtcnn.detect(np.ascontiguousarray(np.rot90(portrait, quarters)))
    last = portrait.shape[0] - 1
    x, y = upright.points.T
    expected = np.stack({1: (y, last - x), 2: (last - x, last - y), 3: (last - y, x)}[quarters], 1)
    assert error(predicted.points, expected) < 0.02
    assert abs((predicted.roll - upright.roll + 90 * quarters + 180) % 360 - 180) < 2


@pytest.mark.parametrize('degrees', [45, 135, 225, 315])
def test_rotated_face_is_detected(mtcnn, portrait, degrees):
    expected = mtcnn.detect(portrait)[0].points
    image, matrix = rotated(portrait, degrees)
    predicted, = mtcnn.detect(image)
    assert error(predicted.points, expected @ matrix[:, :2].T + matrix[:, 2]) < 0.2


@pytest.mark.parametrize('degrees', [0, 90, 180, 270, 33])
def test_plausibility_is_independent_of_rotation(degrees):
    face = face_at(100, 100, 40, degrees)
    assert is_plausible(face)
    eyes_and_mouth_exchanged, mirrored, nose_below = (face.points[order] for order in (
        [3, 4, 2, 0, 1], [1, 0, 2, 4, 3], [0, 1, 2, 3, 4]))
    nose_below = nose_below.copy()
    nose_below[2] += 1.2 * (nose_below[3:].mean(0) - nose_below[:2].mean(0))
    for points in (eyes_and_mouth_exchanged, mirrored, nose_below, np.full((5, 2), 100.0), face.points * np.nan):
        assert not is_plausible(Face(face.box, points, 1.0))
    assert not is_plausible(Face(face.box + [-300, -300, 300, 300], face.points, 1.0)), 'landmarks much smaller than the box'


def test_message_without_a_face_suggests_rotation():
    with pytest.raises(ValueError, match='turn'):
        choose([], 'largest', 'target')


def test_face_of_90_px_in_a_photo_of_12000_px_is_detected(mtcnn, portrait):
    upright, = mtcnn.detect(portrait)
    face = cv2.resize(portrait, None, fx=90 / upright.side, fy=90 / upright.side, interpolation=cv2.INTER_AREA)
    large = np.full((3000, 12000, 3), 128, np.uint8)
    y, x = 1700, 7345
    large[y:y + len(face), x:x + len(face)] = face
    predicted, = mtcnn.detect(large)
    expected = (upright.points + 0.5) * len(face) / len(portrait) - 0.5 + [x, y]
    assert error(predicted.points, expected) < 0.25


def test_detection_of_a_large_face_takes_one_pass(mtcnn, portrait, monkeypatch):
    passes = []
    monkeypatch.setattr(mtcnn, 'find', lambda image, find=mtcnn.find: passes.append(image.shape) or find(image))
    assert len(mtcnn.detect(cv2.resize(portrait, (4000, 4000)))) == 1
    assert len(passes) == 1


def test_rotating_face_is_followed_in_every_frame(mtcnn, portrait):
    expected = mtcnn.detect(portrait)[0].points
    frames, matrices = zip(*(rotated(portrait, degrees) for degrees in range(0, 181, 6)))
    tracker, rows = Tracker(mtcnn, choice='all'), []
    for start in range(0, len(frames), 12):
        part = list(frames[start:start + 12])
        rows += tracker.follow(part, [(start + index) / 25 for index in range(len(part))], start + 12 >= len(frames))
    for row, matrix in zip(rows, matrices):
        followed, = row
        assert error(followed.points, expected @ matrix[:, :2].T + matrix[:, 2]) < 0.35
