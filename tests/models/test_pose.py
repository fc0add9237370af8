"""Head pose, shape and expression from landmarks: rotated shapes, rendered faces."""
import numpy as np
import pytest
import torch

from datasets.synthetic import ATTRIBUTES, render, sample_attributes, sample_identity
from datasets.synthetic.head import rotation
from datasets.synthetic.mean_face import MEAN_FACE, MEAN_POINTS
from models.pose import expression_error, fit_pose, frontal, pose_error, shape_error

ANGLES = torch.tensor([[0.0, 0, 0], [25, -10, 8], [-38, 15, -14]])


def project(shape, angles, scale=0.8, shift=(60.0, 50.0)):
    """Projections (B,N,2) of a shape (N,3), or of shapes (B,N,3), rotated by the renderer's convention."""
    rotations = torch.from_numpy(np.stack([rotation(*row) for row in angles.tolist()]))
    return scale * (shape @ rotations.transpose(1, 2))[..., :2] + torch.tensor(shift)


@pytest.mark.parametrize('shape', [MEAN_FACE, MEAN_POINTS])
def test_fit_pose_recovers_rotation_scale_and_shift(shape):
    pose = fit_pose(project(shape, ANGLES), shape)
    assert torch.allclose(pose.angles, ANGLES, atol=1e-2)
    assert torch.allclose(pose.scale, torch.full((3,), 0.8), atol=1e-4)
    assert torch.allclose(pose.shift, torch.tensor([60.0, 50.0]).expand(3, 2), atol=1e-2)


def test_pose_error_is_in_degrees_and_periodic():
    assert pose_error(torch.tensor([[3.0, -6, 179]]), torch.tensor([[0.0, 0, -179]])).tolist() == pytest.approx([11 / 3])


def test_shape_and_expression_errors_are_independent_of_pose():
    upright = frontal(project(MEAN_FACE, ANGLES), MEAN_FACE)
    reference = upright[:1].expand(3, 68, 2)
    assert expression_error(upright, reference).max() < 0.01 and shape_error(upright, reference).max() < 0.01


def test_an_open_mouth_changes_expression_and_a_wide_jaw_changes_shape():
    open_mouth, wide_jaw = MEAN_FACE.clone(), MEAN_FACE.clone()
    open_mouth[[*range(55, 60), *range(65, 68)], 1] += 8  # lower lip
    wide_jaw[:5, 0] -= 3
    wide_jaw[12:17, 0] += 3
    views = frontal(project(torch.stack([MEAN_FACE, open_mouth, wide_jaw]), ANGLES[:1].expand(3, 3)), MEAN_FACE)
    (mouth_expression, mouth_shape), (jaw_expression, jaw_shape) = (
        (expression_error(view[None], views[:1]).item(), shape_error(view[None], views[:1]).item()) for view in views[1:])
    assert mouth_expression > 3 * mouth_shape and jaw_shape > 10 * jaw_expression


def test_the_pose_of_rendered_faces_is_estimated():
    columns = [ATTRIBUTES.index(name) for name in ('yaw', 'pitch', 'roll')]
    attributes = np.stack([sample_attributes(0, i) for i in range(40)])
    faces = [render(sample_identity(0, i), attributes[i], 64) for i in range(40)]
    expected = torch.from_numpy(attributes[:, columns])
    for points, shape, max_degrees in (([face.landmarks for face in faces], MEAN_FACE, 4),
                                       ([face.points for face in faces], MEAN_POINTS, 6)):
        error = pose_error(fit_pose(torch.from_numpy(np.stack(points)), shape).angles, expected)
        assert error.mean() < max_degrees < pose_error(torch.zeros(40, 3), expected).mean() + 3
