"""MTCNN cascade against that of facenet-pytorch."""
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch

from models.perception.detection import mtcnn_networks as mtcnn
from models.pipelines.demo import demo_photo

THRESHOLDS = (0.6, 0.7, 0.9)


@pytest.fixture(scope='module')
def networks():
    return [mtcnn.mtcnn_network(network) for network in (mtcnn.PNet, mtcnn.RNet, mtcnn.ONet)]


@pytest.fixture(scope='module')
def reference(networks):
    """Detection function of facenet-pytorch with its own network classes."""
    from facenet_pytorch.models import mtcnn as published
    from facenet_pytorch.models.utils.detect_face import detect_face

    published_networks = [getattr(published, type(network).__name__)(pretrained=False) for network in networks]
    for network, published_network in zip(networks, published_networks):
        published_network.load_state_dict(network.state_dict())

    @torch.no_grad()
    def detect(image):
        return detect_face(image, 20, *published_networks, list(THRESHOLDS), 0.709, torch.device('cpu'))
    return detect


def _detected(image, networks):
    return mtcnn.detect(image, networks, THRESHOLDS, 20, torch.device('cpu'))


@pytest.mark.parametrize('name', ['astronaut', 'group'])
@pytest.mark.parametrize('quarters', [0, 1])
@pytest.mark.parametrize('scale', [1, 0.4])
def test_boxes_and_landmarks_are_the_published_ones(name, quarters, scale, networks, reference):
    photo = np.ascontiguousarray(np.rot90(demo_photo(name), quarters))
    photo = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    boxes, points = _detected(photo, networks)
    expected, expected_points = (np.array(part[0], np.float32) for part in reference(photo))
    np.testing.assert_array_equal(boxes, expected.reshape(-1, 5))
    np.testing.assert_array_equal(points, expected_points.reshape(-1, 5, 2))
    assert quarters or len(boxes) == {'astronaut': 1, 'group': 6}[name] or scale < 1


@pytest.mark.parametrize('shape', [(5, 5, 3), (19, 300, 3), (21, 20, 3), (200, 150, 3)])
def test_images_without_faces_and_without_windows(shape, networks):
    boxes, points = _detected(np.random.default_rng(0).integers(0, 256, shape, np.uint8), networks)
    assert boxes.shape == (0, 5) and points.shape == (0, 5, 2)


def test_detection_loads_neither_torchvision_nor_facenet_pytorch():
    code = ("import sys, numpy\nfrom models.perception.detection import build_detector\n"
            "build_detector().detect(numpy.zeros((99, 99, 3), numpy.uint8))\n"
            "print(sorted({'torchvision', 'facenet_pytorch'} & set(sys.modules)))")
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout.strip() == '[]'
