"""Detectors on photos: pixels of the image, order of the landmarks, errors."""
import zipfile

import cv2
import numpy as np
import pytest
import torch

from models.perception.detection import build_detector
from models.perception.detection.detector import MARGIN_PX, MAX_SIDE_PX, Detector
from models.perception.detection.face import Face
from models.pipelines.demo import demo_photo
from models.weights import WeightsError
from tests.models.stubs import face_at


@pytest.fixture(scope='module')
def mtcnn():
    return build_detector('mtcnn')


@pytest.fixture(scope='module')
def astronaut():
    return demo_photo('astronaut')


def test_mtcnn_detects_the_astronaut(mtcnn, astronaut):
    face, = mtcnn.detect(astronaut)
    left_eye, right_eye, nose, left_mouth, right_mouth = face.points
    assert face.box.shape == (4,) and face.points.shape == (5, 2) and face.score > 0.9
    assert left_eye[0] < nose[0] < right_eye[0] and left_mouth[0] < right_mouth[0], 'the viewer\'s left comes first'
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])
    # The eyes of the photo are near (205,102) and (247,104).
    assert np.abs(left_eye - [205, 102]).max() < 5 and np.abs(right_eye - [247, 104]).max() < 5
    assert (face.points >= face.box[:2]).all() and (face.points <= face.box[2:]).all()


def test_mtcnn_detects_six_faces_largest_first(mtcnn):
    faces = mtcnn.detect(demo_photo('group'))
    assert len(faces) == 6
    assert [f.area for f in faces] == sorted((f.area for f in faces), reverse=True)


def test_points_of_a_mirrored_photo_are_mirrored(mtcnn, astronaut):
    face, = mtcnn.detect(astronaut)
    mirrored, = mtcnn.detect(np.ascontiguousarray(astronaut[:, ::-1]))
    expected = face.points[[1, 0, 2, 4, 3]] * [-1, 1] + [astronaut.shape[1] - 1, 0]
    assert np.abs(mirrored.points - expected).max() < 7


def test_large_photo_gives_faces_in_its_pixels(mtcnn, astronaut):
    face, = mtcnn.detect(astronaut)
    large = cv2.resize(astronaut, None, fx=4, fy=4, interpolation=cv2.INTER_LINEAR)
    assert max(large.shape) > MAX_SIDE_PX
    predicted = mtcnn.detect(large)[0]
    assert np.abs((predicted.points + 0.5) / 4 - 0.5 - face.points).max() < 3


def test_face_at_the_border_is_detected(mtcnn, astronaut):
    face, = mtcnn.detect(astronaut)
    left = int(face.box[0]) + 8
    predicted, = mtcnn.detect(astronaut[:, left:])
    assert np.abs(predicted.points - (face.points - [left, 0])).max() < 6


@pytest.mark.parametrize('shape', [(3, 3, 3), (200, 150, 3), (40, 2000, 3)])
def test_no_face_is_an_empty_list(mtcnn, shape):
    assert mtcnn.detect(np.full(shape, 120, np.uint8)) == []


def test_other_arrays_raise(mtcnn):
    with pytest.raises(ValueError, match='uint8'):
        mtcnn.detect(np.zeros((20, 20, 3), np.float32))
    with pytest.raises(ValueError, match=r'\(H,W,3\)'):
        mtcnn.detect(np.zeros((20, 20), np.uint8))


def test_faces_are_scaled_from_the_reduced_image():
    class Corner(Detector):
        def find(self, image):
            height, width = image.shape[:2]
            right, bottom = width - MARGIN_PX - 1, height - MARGIN_PX - 1
            box = np.array([MARGIN_PX, MARGIN_PX, right, bottom], float)
            return [Face(box, face_at(*((box[:2] + box[2:]) / 2), 400).points, 1.0)]

    face, = Corner().detect(np.zeros((2 * MAX_SIDE_PX, MAX_SIDE_PX, 3), np.uint8))
    # The center of the reduced image's first pixel is that of the first two by two pixels of the photo.
    np.testing.assert_allclose(face.box, [0.5, 0.5, MAX_SIDE_PX - 1.5, 2 * MAX_SIDE_PX - 1.5])
    np.testing.assert_allclose(face.points, face_at(MAX_SIDE_PX / 2 - 0.5, MAX_SIDE_PX - 0.5, 800).points, atol=1e-2)


@pytest.mark.parametrize('name', ['scrfd', 'retinaface', 'retinaface-mobile025'])
def test_missing_weights_name_the_command(name, tmp_path, monkeypatch):
    monkeypatch.setenv('FACE_WEIGHTS_DIR', str(tmp_path))
    with pytest.raises(WeightsError, match=r'python scripts/weights.py fetch \S+') as caught:
        build_detector(name)
    assert '\n' not in str(caught.value)


def test_unknown_detector_raises():
    with pytest.raises(ValueError, match='mtcnn, scrfd, retinaface'):
        build_detector('eyes')


def test_scrfd_gives_faces_in_pixels_of_the_photo(tmp_path, monkeypatch):
    """A network of the published outputs that always detects one face, at the 8-pixel anchor (10,5) of the 640-pixel input."""
    onnx = pytest.importorskip('onnx')
    landmarks = face_at(0, 0, 13).points  # in pixels of the input, from the anchor
    outputs, nodes, constants = [], [], []
    for kind, width in (('score', 1), ('box', 4), ('points', 10)):
        for stride in (8, 16, 32):
            side = 640 // stride
            values = np.zeros((side * side * 2, width), np.float32)
            if stride == 8:
                values[(5 * side + 10) * 2] = {'score': 0.8, 'box': 2.0, 'points': landmarks.ravel() / 8}[kind]
            name = f'{kind}{stride}'
            constants.append(onnx.numpy_helper.from_array(values, f'{name}_value'))
            nodes.append(onnx.helper.make_node('Add', [f'{name}_value', 'zero'], [name]))
            outputs.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, list(values.shape)))
    nodes.insert(0, onnx.helper.make_node('Mul', ['mean', 'no_scale'], ['zero']))
    nodes.insert(0, onnx.helper.make_node('ReduceMean', ['input'], ['mean'], keepdims=0))
    constants.append(onnx.numpy_helper.from_array(np.zeros((), np.float32), 'no_scale'))
    image = onnx.helper.make_tensor_value_info('input', onnx.TensorProto.FLOAT, [1, 3, 640, 640])
    graph = onnx.helper.make_graph(nodes, 'detector', [image], outputs, constants)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 13)], ir_version=8)
    with zipfile.ZipFile(tmp_path / 'buffalo_l.zip', 'w') as pack:
        pack.writestr('det_10g.onnx', model.SerializeToString())
    monkeypatch.setenv('FACE_WEIGHTS_DIR', str(tmp_path))

    side = 1280 - 2 * MARGIN_PX  # with the margin, twice the side of the network's input
    face, = build_detector('scrfd').detect(np.zeros((side, side, 3), np.uint8))
    np.testing.assert_allclose(face.box, np.array([64, 24, 96, 56]) * 2 - MARGIN_PX, atol=1)
    np.testing.assert_allclose(face.points, (landmarks + [80, 40]) * 2 - MARGIN_PX, atol=1)
    assert face.score == pytest.approx(0.8)


def test_damaged_model_pack_raises(tmp_path, monkeypatch):
    (tmp_path / 'buffalo_l.zip').write_bytes(b'<html>not found</html>')
    monkeypatch.setenv('FACE_WEIGHTS_DIR', str(tmp_path))
    with pytest.raises(ValueError, match='fetch it again'):
        build_detector('scrfd')


def test_retinaface_gives_faces_in_pixels_of_the_photo(tmp_path, monkeypatch):
    """Weights with a high score and a zero offset at each anchor: the faces are the anchors."""
    from facexlib.detection.retinaface import RetinaFace

    state = RetinaFace('mobile0.25', device=torch.device('cpu')).state_dict()
    for name, value in state.items():
        if 'Head' in name:
            value.zero_()
        if name.startswith('ClassHead') and name.endswith('bias'):
            value[1::2] = 5
    torch.save({f'module.{name}': value for name, value in state.items()}, tmp_path / 'detection_mobilenet0.25_Final.pth')
    monkeypatch.setenv('FACE_WEIGHTS_DIR', str(tmp_path))
    faces = build_detector('retinaface-mobile025').find(np.zeros((128, 128, 3), np.uint8))
    smallest, largest = sorted(faces, key=lambda face: face.area)[::len(faces) - 1]
    for face, side, stride in ((largest, 512, 32), (smallest, 16, 8)):
        np.testing.assert_allclose(face.box[2:] - face.box[:2], side, atol=1e-2)
        center = (face.box[:2] + face.box[2:]) / 2
        np.testing.assert_allclose(face.points, np.tile(center, (5, 1)), atol=1e-2)
        offset = center / stride - 0.5
        np.testing.assert_allclose(offset, offset.round(), atol=1e-2)


def test_mtcnn_follows_a_face(mtcnn):
    image = demo_photo('astronaut')
    face = mtcnn.detect(image)[0]
    shifted = np.roll(image, (5, -6), (0, 1))
    predicted, = mtcnn.follow(shifted, [face])
    assert np.abs(predicted.points - mtcnn.detect(shifted)[0].points).max() < 4
    assert mtcnn.follow(np.full_like(image, 120), [face]) == [None]
