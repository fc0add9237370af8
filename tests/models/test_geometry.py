"""Templates, similarity estimation and warps."""
import itertools
import math

import pytest
import torch

from models import geometry
from models.geometry import TEMPLATES


def gaussian_spots(points, height, width, sigma=1.5):
    """(1,1,H,W) image with a Gaussian at each point."""
    ys, xs = torch.meshgrid(torch.arange(height, dtype=torch.float32), torch.arange(width, dtype=torch.float32), indexing='ij')
    spots = (torch.exp(-((xs - x) ** 2 + (ys - y) ** 2) / (2 * sigma ** 2)) for x, y in torch.as_tensor(points).tolist())
    return sum(spots)[None, None]


def center_of_mass(image):
    """Center of mass (x, y) of a (1,1,H,W) image."""
    weight = image[0, 0].clamp(min=0)
    ys, xs = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in weight.shape), indexing='ij')
    return torch.stack([(xs * weight).sum(), (ys * weight).sum()]) / weight.sum()


def similarity_matrix(angle, scale, x, y):
    """(2,3) rotation by degrees, scale and translation."""
    c, s = scale * math.cos(math.radians(angle)), scale * math.sin(math.radians(angle))
    return torch.tensor([[c, -s, x], [s, c, y]])


@pytest.mark.parametrize('name', TEMPLATES)
def test_template_points_are_ordered_as_in_an_upright_face(name):
    left, right, nose, mouth_left, mouth_right = TEMPLATES[name].points
    assert left[0] < nose[0] < right[0] and mouth_left[0] < nose[0] < mouth_right[0]
    assert max(left[1], right[1]) < nose[1] < min(mouth_left[1], mouth_right[1])
    assert all(0 < x < TEMPLATES[name].width and 0 < y < TEMPLATES[name].height for x, y in TEMPLATES[name].points)


def test_published_templates_have_the_published_values():
    assert TEMPLATES['sphereface'].points[0] == (30.2946, 51.6963)
    assert TEMPLATES['arcface'].points[2] == pytest.approx((56.0252, 71.7366))
    assert (TEMPLATES['arcface'].width, TEMPLATES['sphereface'].width) == (112, 96)


@pytest.mark.parametrize('first, second', itertools.permutations(TEMPLATES, 2))
def test_warp_maps_the_nose_as_apply_does(first, second):
    first, second = geometry.template(first), geometry.template(second)
    matrix = geometry.between(first, second)
    nose = first.tensor()[2:3]
    expected = geometry.apply(matrix, nose)[0]
    fitted = geometry.apply(matrix, first.tensor())
    assert (fitted - second.tensor()).norm(dim=1).max() < 0.12 * (second.tensor()[1] - second.tensor()[0]).norm()
    spot = gaussian_spots(nose, first.height, first.width, sigma=max(1.5, first.width / 60))
    warped = geometry.warp(spot, matrix, (second.height, second.width), padding='zeros')
    assert torch.allclose(center_of_mass(warped), expected, atol=0.1)
    restored = geometry.warp(warped, geometry.invert(matrix), (first.height, first.width), padding='zeros')
    assert torch.allclose(center_of_mass(restored), nose[0], atol=0.3)


@pytest.mark.parametrize('angle, scale', [(0, 1), (20, 1), (-35, 0.3), (10, 0.11), (5, 2.5), (180, 0.5)])
def test_warp_agrees_with_apply(angle, scale):
    matrix = similarity_matrix(angle, scale, 0, 0)
    point = torch.tensor([[90.0, 70.0]])
    size = (64, 64)
    matrix[:, 2] = torch.tensor([30.0, 34.0]) - matrix[:, :2] @ point[0]
    warped = geometry.warp(gaussian_spots(point, 160, 200, sigma=max(1.5, 1.2 / scale)), matrix, size, padding='zeros')
    assert torch.allclose(geometry.apply(matrix, point)[0], torch.tensor([30.0, 34.0]), atol=1e-3)
    assert torch.allclose(center_of_mass(warped), torch.tensor([30.0, 34.0]), atol=0.1)


def test_warp_uses_one_transform_per_image():
    matrices = torch.stack([similarity_matrix(0, 1, 3, 0), similarity_matrix(0, 1, 0, 5)])
    spot = gaussian_spots([[20.0, 20.0]], 48, 48).repeat(2, 1, 1, 1)
    warped = geometry.warp(spot, matrices, (48, 48), padding='zeros')
    assert torch.allclose(center_of_mass(warped[:1]), torch.tensor([23.0, 20.0]), atol=0.05)
    assert torch.allclose(center_of_mass(warped[1:]), torch.tensor([20.0, 25.0]), atol=0.05)


def test_warp_from_celeba_to_face_is_a_crop():
    canvas = torch.rand(2, 3, 218, 178)
    matrix = geometry.between(TEMPLATES['celeba'], TEMPLATES['face'])
    x, y = geometry.FACE_CORNER
    assert torch.allclose(matrix, torch.tensor([[1.0, 0.0, -x], [0.0, 1.0, -y]]), atol=1e-4)
    warped = geometry.warp(canvas, matrix, (128, 128))
    assert torch.allclose(warped, canvas[..., y:y + 128, x:x + 128], atol=1e-3)


def test_scaled_template_scales_about_the_corner_of_the_first_pixel():
    face = TEMPLATES['face']
    half = face.scaled(64)
    assert (half.width, half.height) == (64, 64)
    matrix = geometry.between(face, half)
    corners = geometry.apply(matrix, torch.tensor([[-0.5, -0.5], [127.5, 127.5]]))
    assert torch.allclose(corners, torch.tensor([[-0.5, -0.5], [63.5, 63.5]]), atol=1e-3)
    assert TEMPLATES['celeba'].scaled(89).height == 109


def test_warp_to_a_smaller_size_is_antialiased():
    """A checkerboard of single pixels becomes gray."""
    ys, xs = torch.meshgrid(torch.arange(256), torch.arange(256), indexing='ij')
    checkerboard = ((xs + ys) % 2).float()[None, None]
    warped = geometry.warp(checkerboard, similarity_matrix(0, 0.26, 0, 0), (64, 64))[..., 4:-4, 4:-4]
    assert (warped - 0.5).abs().max() < 0.05
    aliased = geometry.warp(checkerboard, similarity_matrix(0, 0.26, 0, 0), (64, 64), antialias=False)[..., 4:-4, 4:-4]
    assert (aliased - 0.5).abs().max() > 0.2


def test_padding_and_nearest_interpolation():
    ones = torch.ones(1, 1, 16, 16)
    shift = similarity_matrix(0, 1, 8, 0)
    assert geometry.warp(ones, shift, (16, 16), padding='zeros')[..., :6].max() == 0
    assert geometry.warp(ones, shift, (16, 16), padding='border').min() == pytest.approx(1)
    labels = torch.randint(0, 19, (1, 1, 40, 40)).float()
    warped = geometry.warp(labels, similarity_matrix(12, 0.5, 3, 1), (20, 20), mode='nearest')
    assert torch.equal(warped, warped.round())


def test_warp_is_differentiable():
    image = torch.rand(1, 3, 32, 32, requires_grad=True)
    geometry.warp(image, similarity_matrix(7, 0.4, 2, 2), (16, 16)).sum().backward()
    assert image.grad[..., 4:28, 4:28].abs().sum() > 0


def test_similarity_recovers_the_transform():
    expected = torch.stack([similarity_matrix(33, 1.7, 12, -5), similarity_matrix(-80, 0.2, 3, 400)])
    points = torch.randn(2, 5, 2, generator=torch.Generator().manual_seed(0)) * 20 + 50
    estimate = geometry.similarity(points, geometry.apply(expected, points))
    assert torch.allclose(estimate, expected, atol=1e-3)
    assert torch.allclose(geometry.compose(geometry.invert(estimate), estimate), torch.eye(2, 3).expand(2, 2, 3), atol=1e-3)


def test_similarity_never_mirrors():
    points = TEMPLATES['face'].tensor()
    mirrored = points * torch.tensor([-1.0, 1.0])
    assert torch.linalg.det(geometry.similarity(points, mirrored)[:, :2]) > 0


def test_align_rotates_a_face_upright():
    face = TEMPLATES['face']
    rotated = geometry.apply(similarity_matrix(25, 3.1, 200, 90), face.tensor())
    matrix = geometry.align(rotated, face)
    assert torch.allclose(geometry.apply(matrix, rotated), face.tensor(), atol=1e-2)


def test_invalid_points_and_unknown_templates_raise():
    with pytest.raises(ValueError, match='one point'):
        geometry.similarity(torch.ones(5, 2), torch.rand(5, 2))
    not_finite = TEMPLATES['face'].tensor()
    not_finite[2, 0] = float('nan')
    with pytest.raises(ValueError, match='not finite'):
        geometry.align(not_finite, TEMPLATES['face'])
    with pytest.raises(ValueError, match='known: celeba, face'):
        geometry.template('unknown')
