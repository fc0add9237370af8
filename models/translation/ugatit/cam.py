"""Class activation maps (Zhou et al. 2016, arXiv:1512.04150) as U-GAT-IT uses them: what a linear classifier of the pooled map
looks at weighs the map's channels (Kim et al. 2020, section 3.1)."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.blocks.spectral import unnormalized_weight


def _importance(classifier: nn.Linear) -> Tensor:
    """(1,C): the weight itself, without spectral norm, plus the bias where there is one."""
    weight = unnormalized_weight(classifier)
    return weight if classifier.bias is None else weight + classifier.bias[:, None]


def cam_logits(x: Tensor, ema: nn.Linear, largest: nn.Linear) -> Tensor:
    """(B,C,H,W) -> (B,2): the two classifiers' logits of the mean and of the maximum over places."""
    return torch.cat([ema(x.mean((2, 3))), largest(x.amax((2, 3)))], 1)


def cam_attention(x: Tensor, ema: nn.Linear, largest: nn.Linear, merge: nn.Conv2d, *, weighted: bool = True) -> Tensor:
    """merge of [x weighted by the one classifier, x weighted by the other]: (B,C,H,W) -> (B,C',H,W), merge being 1x1 from 2C.

    The weights are taken into merge, so that the map of 2C channels is never made. weighted: False merges x with itself.
    """
    first, second = merge.weight.flatten(1).chunk(2, 1)  # (C',C) each
    if weighted:
        first, second = first * _importance(ema), second * _importance(largest)
    return F.conv2d(x, (first + second)[:, :, None, None], merge.bias)


def heatmap_image(heatmap: Tensor, size: tuple[int, int]) -> Tensor:
    """A heat map (B,1,h,w) for people: (B,3,*size) in [-1,1], from blue, where it is lowest in its image, over green to red."""
    low, high = heatmap.amin((2, 3), keepdim=True), heatmap.amax((2, 3), keepdim=True)
    level = F.interpolate((heatmap - low) / (high - low).clamp_min(1e-6), size, mode='bilinear')
    return 2 * torch.cat([1.5 - (4 * level - center).abs() for center in (3, 2, 1)], 1).clamp(0, 1) - 1
