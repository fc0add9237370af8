"""Five-point landmarks computed from a parsing map."""
import torch
from torch import Tensor

from models.batch import PARTS

_LIPS = ('mouth', 'u_lip', 'l_lip')
MIN_PART_PX = 3  # number of pixels of a part; the point of a smaller part is NaN


def part_points(labels: Tensor) -> Tensor:
    """Label maps (B,H,W) of PARTS -> (B,5,2) eyes, nose tip and mouth corners in pixels; NaN where a part is not visible.

    An eye is the centroid of its pixels. The nose tip is at the mean column of the nose, three quarters down its rows. The mouth
    corners are the outermost columns of mouth and lips, at the mean row of those columns.
    """
    height, width = labels.shape[1:]
    xs = torch.arange(width, device=labels.device, dtype=torch.float32).expand_as(labels)
    ys = torch.arange(height, device=labels.device, dtype=torch.float32)[:, None].expand_as(labels)

    def part_mask(*names: str) -> Tensor:
        mask = torch.isin(labels, torch.tensor([PARTS.index(name) for name in names], device=labels.device))
        return mask & (mask.sum((1, 2)) >= MIN_PART_PX)[:, None, None]

    def mean(values: Tensor, mask: Tensor) -> Tensor:
        return (values * mask).sum((1, 2)) / mask.sum((1, 2))  # 0 / 0 = NaN where the part is not visible

    def ends(values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return (values.masked_fill(~mask, float('inf')).amin((1, 2)), values.masked_fill(~mask, float('-inf')).amax((1, 2)))

    points = [torch.stack([mean(xs, eye), mean(ys, eye)], 1) for eye in (part_mask('l_eye'), part_mask('r_eye'))]
    nose, lips = part_mask('nose'), part_mask(*_LIPS)
    top, bottom = ends(ys, nose)
    points.append(torch.stack([mean(xs, nose), top + 0.75 * (bottom - top)], 1))
    for x in ends(xs, lips):
        points.append(torch.stack([x, mean(ys, lips & (xs == x[:, None, None]))], 1))
    stacked = torch.stack(points, 1)  # (B,5,2)
    return stacked.masked_fill(~torch.isfinite(stacked).all(2, keepdim=True), float('nan'))
