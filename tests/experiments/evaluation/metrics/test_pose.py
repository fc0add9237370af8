"""Faces turned by known angles, and drawn ones whose causes are known."""
import numpy as np
import pytest
import torch

from datasets.synthetic import ATTRIBUTES, render, sample_attributes, sample_identity
from datasets.synthetic.head import rotation
from datasets.synthetic.mean_face import MEAN_FACE, MEAN_POINTS
from models.pose import expression_error, fit_pose, frontal, pose_error, shape_error

ANGLES = torch.tensor([[0.0, 0, 0], [25, -10, 8], [-38, 15, -14]])


def seen(shape, angles, scale=0.8, shift=(60.0, 50.0)):
    """(B,N,2): a shape, or one for each view, under the renderer's own rotation."""
    turns = torch.from_numpy(np.stack([rotation(*row) for row in angles.tolist()]))
    return scale * (shape @ turns.transpose(1, 2))[..., :2] + torch.tensor(shift)


@pytest.mark.parametrize('shape', [MEAN_FACE, MEAN_POINTS])
def test_the_pose_of_a_turned_shape_is_found(shape):
    pose = fit_pose(seen(shape, ANGLES), shape)
    assert torch.allclose(pose.angles, ANGLES, atol=1e-2)
    assert torch.allclose(pose.scale, torch.full((3,), 0.8), atol=1e-4)
    assert torch.allclose(pose.shift, torch.tensor([60.0, 50.0]).expand(3, 2), atol=1e-2)


def test_pose_error_is_in_degrees_and_goes_round():
    assert pose_error(torch.tensor([[3.0, -6, 179]]), torch.tensor([[0.0, 0, -179]])).tolist() == pytest.approx([11 / 3])


def test_a_pose_alone_is_no_change_of_shape_or_expression():
    upright = frontal(seen(MEAN_FACE, ANGLES), MEAN_FACE)
    same = upright[:1].expand(3, 68, 2)
    assert expression_error(upright, same).max() < 0.01 and shape_error(upright, same).max() < 0.01


def test_an_open_mouth_is_an_expression_and_a_wide_jaw_a_shape():
    spoken, broad = MEAN_FACE.clone(), MEAN_FACE.clone()
    spoken[[*range(55, 60), *range(65, 68)], 1] += 8  # the lower lip
    broad[:5, 0] -= 3
    broad[12:17, 0] += 3
    views = frontal(seen(torch.stack([MEAN_FACE, spoken, broad]), ANGLES[:1].expand(3, 3)), MEAN_FACE)
    spoken, broad = ((expression_error(view[None], views[:1]).item(), shape_error(view[None], views[:1]).item())
                     for view in views[1:])
    assert spoken[0] > 3 * spoken[1] and broad[1] > 10 * broad[0]


def test_drawn_faces_have_the_pose_that_they_were_drawn_with():
    names = [ATTRIBUTES.index(name) for name in ('yaw', 'pitch', 'roll')]
    causes = np.stack([sample_attributes(0, i) for i in range(40)])
    drawn = [render(sample_identity(0, i), causes[i], 64) for i in range(40)]
    wanted = torch.from_numpy(causes[:, names])
    for points, shape, most in (([d.landmarks for d in drawn], MEAN_FACE, 4), ([d.points for d in drawn], MEAN_POINTS, 6)):
        error = pose_error(fit_pose(torch.from_numpy(np.stack(points)), shape).angles, wanted)
        assert error.mean() < most < pose_error(torch.zeros(40, 3), wanted).mean() + 3
