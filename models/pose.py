"""Head pose from landmarks, and what landmarks say of shape and expression once the pose is removed.

Landmarks are pixels (B,N,2). A shape in space is (N,3): x to the viewer's right, y down, z towards the viewer. Angles are
degrees; yaw is positive where the nose moves to the viewer's right, pitch where it moves down, roll where the head turns
clockwise for the viewer.
"""
from dataclasses import dataclass

import torch
from torch import Tensor

# The parts of the 68 landmarks (iBUG): jaw, brows, nose, eyes, mouth.
_BROWS, _EYES, _MOUTH = (slice(17, 22), slice(22, 27)), (slice(36, 42), slice(42, 48)), slice(48, 68)
_CORNERS, _LIDS = [48, 54], [36, 39, 42, 45]  # of the mouth, of the eyes
_STIFF = [*range(0, 5), *range(12, 17), *range(27, 36)]  # without the chin, which an open mouth takes along


@dataclass(frozen=True)
class Pose:
    """Scaled orthographic views (B): rotation (B,3,3), scale (B,), shift (B,2)."""

    rotation: Tensor
    scale: Tensor
    shift: Tensor

    @property
    def angles(self) -> Tensor:
        """(B,3) yaw, pitch, roll in degrees."""
        r = self.rotation
        yaw = torch.atan2(-r[:, 2, 0], r[:, 2, 2])
        pitch = torch.asin(-r[:, 2, 1].clamp(-1, 1))
        roll = torch.atan2(-r[:, 0, 1], r[:, 1, 1])
        return torch.rad2deg(torch.stack([yaw, pitch, roll], 1))


def fit_pose(points: Tensor, shape: Tensor) -> Pose:
    """The view under which `shape` (N,3) comes nearest to the landmarks (B,N,2): the least-squares affine camera, whose nearest
    scaled rotation is taken (Bruckstein et al. 1999). N >= 4, not in one plane."""
    shape = shape.to(points)
    centered, middle = shape - shape.mean(0), points.mean(1, keepdim=True)
    camera = (torch.linalg.pinv(centered) @ (points - middle)).transpose(1, 2)  # (B,2,3)
    u, s, v = torch.linalg.svd(camera, full_matrices=False)
    rows, scale = u @ v, s.mean(1)
    rotation = torch.cat([rows, torch.linalg.cross(rows[:, 0], rows[:, 1])[:, None]], 1)
    shift = middle[:, 0] - scale[:, None] * (rows @ shape.mean(0))
    return Pose(rotation, scale, shift)


def pose_error(found: Tensor, wanted: Tensor) -> Tensor:
    """(B,3), (B,3) angles -> (B,) mean absolute difference, degrees."""
    return ((found - wanted + 180) % 360 - 180).abs().mean(1)


def frontal(points: Tensor, shape: Tensor) -> Tensor:
    """68 landmarks (B,68,2) -> (B,68,2) as they would be seen from the front: each point is given the depth of the mean `shape`
    (68,3) and turned back. The pose is that of what an expression moves least. Unit: distance of the eyes, whose middle is 0."""
    pose = fit_pose(points[:, _STIFF + _LIDS], shape[_STIFF + _LIDS])
    flat = (points - pose.shift[:, None]) / pose.scale[:, None, None]
    depth = (shape.to(points) @ pose.rotation.transpose(1, 2))[..., 2:]
    turned = (torch.cat([flat, depth], 2) @ pose.rotation)[..., :2]
    eyes = torch.stack([turned[:, part].mean(1) for part in _EYES], 1)
    return (turned - eyes.mean(1, keepdim=True)) / (eyes[:, 1] - eyes[:, 0]).norm(dim=1)[:, None, None]


def shape_error(found: Tensor, wanted: Tensor) -> Tensor:
    """How differently faces are built, in percent of the distance of the eyes: mean distance of what an expression moves least:
    the sides of the jaw, the nose and the middle between the corners of the mouth. (B,68,2) from `frontal` -> (B,)."""
    def stiff(points: Tensor) -> Tensor:
        return torch.cat([points[:, _STIFF], points[:, _CORNERS].mean(1, keepdim=True)], 1)

    return 100 * (stiff(found) - stiff(wanted)).norm(dim=2).mean(1)


def expression_error(found: Tensor, wanted: Tensor) -> Tensor:
    """How differently eyes, brows and mouth are formed, whatever their place and size, in percent of the width of each: mean
    distance of their landmarks after centring and scaling to equal width. (B,68,2) from `frontal` -> (B,)."""
    def formed(points: Tensor) -> Tensor:
        parts = []
        for part, first, last in ((_BROWS[0], 0, 4), (_BROWS[1], 0, 4), (_EYES[0], 0, 3), (_EYES[1], 0, 3), (_MOUTH, 0, 6)):
            feature = points[:, part]
            width = (feature[:, last] - feature[:, first]).norm(dim=1)[:, None, None]
            parts.append((feature - feature.mean(1, keepdim=True)) / width)
        return torch.cat(parts, 1)

    return 100 * (formed(found) - formed(wanted)).norm(dim=2).mean(1)
