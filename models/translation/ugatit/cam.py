"""Class activation maps (Zhou et al. 2016, arXiv:1512.04150) as the attention of U-GAT-IT (Kim et al. 2020, section 3.1).

Two linear classifiers, of average-pooled and of max-pooled features, predict the domain. Their weights are the attention to the
channels of the feature map.
"""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.blocks.spectral import SpectralLinear, unnormalized_weight

Classifier = nn.Linear | SpectralLinear


def _channel_weights(classifier: Classifier) -> Tensor:
    """Weight without spectral normalization, plus the bias, if any: (1,C)."""
    weight = unnormalized_weight(classifier)
    return weight if classifier.bias is None else weight + classifier.bias[:, None]


def cam_logits(x: Tensor, avg_classifier: Classifier, max_classifier: Classifier) -> Tensor:
    """Logits of the two classifiers: (B,C,H,W) -> (B,2)."""
    return torch.cat([avg_classifier(x.mean((2, 3))), max_classifier(x.amax((2, 3)))], 1)


def cam_attention(x: Tensor, avg_classifier: Classifier, max_classifier: Classifier, merge: nn.Conv2d, *,
                  weighted: bool = True) -> Tensor:
    """merge(concat(x * weights of one classifier, x * weights of the other)): (B,C,H,W) -> (B,C',H,W).

    The weights are multiplied into those of `merge`, so that the map of 2C channels is not computed.

    Args:
        merge: 1x1 convolution from 2C to C' channels.
        weighted: False merges x with itself.
    """
    first, second = merge.weight.flatten(1).chunk(2, 1)  # (C',C) each
    if weighted:
        first, second = first * _channel_weights(avg_classifier), second * _channel_weights(max_classifier)
    return F.conv2d(x, (first + second)[:, :, None, None], merge.bias)


def heatmap_image(heatmap: Tensor, size: tuple[int, int]) -> Tensor:
    """Color image of a heat map, from blue at its minimum over green to red at its maximum.

    Args:
        heatmap: (B,1,h,w), scaled per image.
        size: H, W.

    Returns:
        (B,3,H,W) in [-1,1].
    """
    low, high = heatmap.amin((2, 3), keepdim=True), heatmap.amax((2, 3), keepdim=True)
    level = F.interpolate((heatmap - low) / (high - low).clamp_min(1e-6), size, mode='bilinear')
    return 2 * torch.cat([1.5 - (4 * level - center).abs() for center in (3, 2, 1)], 1).clamp(0, 1) - 1
