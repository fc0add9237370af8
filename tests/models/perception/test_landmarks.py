"""Differentiable five-point landmarks."""
import pytest
import torch
from insightface.data import get_image

from models import geometry
from models.perception.detection import MTCNN
from models.perception.landmarks.five_point import FiveLandmarks


@pytest.fixture(scope='module')
def faces() -> tuple[torch.Tensor, torch.Tensor]:
    """Faces (B,3,128,128) of a photograph in the template `face`, and their points (B,5,2) by MTCNN."""
    image = get_image('t1')[..., ::-1].copy()
    points = torch.stack([torch.from_numpy(face.points) for face in MTCNN().detect(image)])
    matrix = geometry.align(points, geometry.template('face'))
    images = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 127.5 - 1
    return geometry.warp(images.expand(len(points), -1, -1, -1), matrix, (128, 128)), geometry.apply(matrix, points)


def test_landmarks_equal_the_detectors_up_to_a_shift(faces):
    images, points = faces
    eyes = geometry.template('face').tensor()[1, 0] - geometry.template('face').tensor()[0, 0]
    predicted, expected = FiveLandmarks()(images), points / eyes
    predicted, expected = (x - x.mean(1, keepdim=True) for x in (predicted, expected))
    assert len(points) >= 5
    assert (predicted - expected).norm(dim=2).mean() < 0.06


def test_gradient_descent_moves_landmarks_to_the_target(faces):
    network, images = FiveLandmarks(), faces[0][:2].clone().requires_grad_()
    assert all(not parameter.requires_grad for parameter in network.parameters())
    target = network(images.detach()) + 0.05
    optimizer = torch.optim.Adam([images], 0.02)
    first = (network(images) - target).abs().mean()
    for _ in range(10):
        optimizer.zero_grad()
        (network(images) - target).abs().mean().backward()
        optimizer.step()
    assert (network(images) - target).abs().mean() < 0.7 * first
