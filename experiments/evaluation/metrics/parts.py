"""Landmarks read off a parsing map, where no landmark network is at hand."""
import torch
from torch import Tensor

from models.batch import PARTS

_LIPS = ('mouth', 'u_lip', 'l_lip')
_FEWEST = 3  # pixels of a part that can be relied on


def part_points(labels: Tensor) -> Tensor:
    """(B,H,W) ids of PARTS -> (B,5,2) eyes, tip of the nose, corners of the mouth, in pixels; NaN where a part does not show.

    Eyes are centroids; the tip lies in the middle of the nose's columns and three quarters down its rows; the corners are the
    outermost columns of mouth and lips, at their mean height.
    """
    height, width = labels.shape[1:]
    xs = torch.arange(width, device=labels.device, dtype=torch.float32).expand_as(labels)
    ys = torch.arange(height, device=labels.device, dtype=torch.float32)[:, None].expand_as(labels)

    def where(*names: str) -> Tensor:
        mask = torch.isin(labels, torch.tensor([PARTS.index(name) for name in names], device=labels.device))
        return mask & (mask.sum((1, 2)) >= _FEWEST)[:, None, None]

    def mean(values: Tensor, mask: Tensor) -> Tensor:
        return (values * mask).sum((1, 2)) / mask.sum((1, 2))  # 0 / 0 = NaN where the part does not show

    def ends(values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return (values.masked_fill(~mask, float('inf')).amin((1, 2)), values.masked_fill(~mask, float('-inf')).amax((1, 2)))

    points = [torch.stack([mean(xs, eye), mean(ys, eye)], 1) for eye in (where('l_eye'), where('r_eye'))]
    nose, lips = where('nose'), where(*_LIPS)
    top, bottom = ends(ys, nose)
    points.append(torch.stack([mean(xs, nose), top + 0.75 * (bottom - top)], 1))
    for x in ends(xs, lips):
        points.append(torch.stack([x, mean(ys, lips & (xs == x[:, None, None]))], 1))
    points = torch.stack(points, 1)
    return points.masked_fill(~torch.isfinite(points).all(2, keepdim=True), float('nan'))
