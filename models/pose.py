"""Head pose from landmarks, and errors of shape and expression in the frontal view.

Landmarks are pixels (B,N,2). A 3D shape is (N,3): x to the viewer's right, y down, z toward the viewer. Angles are
degrees; positive yaw moves the nose to the viewer's right, positive pitch moves it down, positive roll
rotates the head clockwise for the viewer.
"""
from dataclasses import dataclass

import torch
from torch import Tensor

# The parts of the 68 landmarks (iBUG): jaw, brows, nose, eyes, mouth.
_BROWS, _EYES, _MOUTH = (slice(17, 22), slice(22, 27)), (slice(36, 42), slice(42, 48)), slice(48, 68)
_MOUTH_CORNERS, _EYE_CORNERS = [48, 54], [36, 39, 42, 45]
_RIGID = [*range(0, 5), *range(12, 17), *range(27, 36)]  # jaw without the chin, and nose


@dataclass(frozen=True)
class Pose:
    """Scaled orthographic views (B): rotation (B,3,3), scale (B,), shift (B,2)."""

    rotation: Tensor
    scale: Tensor
    shift: Tensor

    @property
    def angles(self) -> Tensor:
        """Yaw, pitch and roll in degrees, (B,3)."""
        r = self.rotation
        yaw = torch.atan2(-r[:, 2, 0], r[:, 2, 2])
        pitch = torch.asin(-r[:, 2, 1].clamp(-1, 1))
        roll = torch.atan2(-r[:, 0, 1], r[:, 1, 1])
        return torch.rad2deg(torch.stack([yaw, pitch, roll], 1))


def fit_pose(points: Tensor, shape: Tensor) -> Pose:
    """Pose of `shape` (N,3) for landmarks (B,N,2): the scaled rotation nearest to the least-squares affine camera (Bruckstein et
    al. 1999). N >= 4, not coplanar."""
    shape = shape.to(points)
    centered, center = shape - shape.mean(0), points.mean(1, keepdim=True)
    camera = (torch.linalg.pinv(centered) @ (points - center)).transpose(1, 2)  # (B,2,3)
    u, s, v = torch.linalg.svd(camera, full_matrices=False)
    rows, scale = u @ v, s.mean(1)
    rotation = torch.cat([rows, torch.linalg.cross(rows[:, 0], rows[:, 1])[:, None]], 1)
    shift = center[:, 0] - scale[:, None] * (rows @ shape.mean(0))
    return Pose(rotation, scale, shift)


def pose_error(predicted: Tensor, reference: Tensor) -> Tensor:
    """Mean absolute difference (B,) of angles (B,3) in degrees."""
    return ((predicted - reference + 180) % 360 - 180).abs().mean(1)


def frontal(points: Tensor, shape: Tensor) -> Tensor:
    """Landmarks (B,68,2) in the frontal view, (B,68,2): each point gets the depth of the mean `shape` (68,3) and is rotated
    back by the pose of the rigid landmarks. Unit: distance of the eyes; origin: their midpoint."""
    pose = fit_pose(points[:, _RIGID + _EYE_CORNERS], shape[_RIGID + _EYE_CORNERS])
    flat = (points - pose.shift[:, None]) / pose.scale[:, None, None]
    depth = (shape.to(points) @ pose.rotation.transpose(1, 2))[..., 2:]
    rotated = (torch.cat([flat, depth], 2) @ pose.rotation)[..., :2]
    eyes = torch.stack([rotated[:, part].mean(1) for part in _EYES], 1)
    return (rotated - eyes.mean(1, keepdim=True)) / (eyes[:, 1] - eyes[:, 0]).norm(dim=1)[:, None, None]


def shape_error(predicted: Tensor, reference: Tensor) -> Tensor:
    """Mean distance of the landmarks that expressions move least (sides of the jaw, nose, midpoint of the mouth corners), in
    percent of the distance of the eyes. (B,68,2) from `frontal` -> (B,)."""
    def rigid(points: Tensor) -> Tensor:
        return torch.cat([points[:, _RIGID], points[:, _MOUTH_CORNERS].mean(1, keepdim=True)], 1)

    return 100 * (rigid(predicted) - rigid(reference)).norm(dim=2).mean(1)


def expression_error(predicted: Tensor, reference: Tensor) -> Tensor:
    """Mean distance of the landmarks of eyes, brows and mouth after centering each part and scaling it to unit width, in percent
    of the width. (B,68,2) from `frontal` -> (B,)."""
    def normalized(points: Tensor) -> Tensor:
        parts = []
        for part, first, last in ((_BROWS[0], 0, 4), (_BROWS[1], 0, 4), (_EYES[0], 0, 3), (_EYES[1], 0, 3), (_MOUTH, 0, 6)):
            feature = points[:, part]
            width = (feature[:, last] - feature[:, first]).norm(dim=1)[:, None, None]
            parts.append((feature - feature.mean(1, keepdim=True)) / width)
        return torch.cat(parts, 1)

    return 100 * (normalized(predicted) - normalized(reference)).norm(dim=2).mean(1)
