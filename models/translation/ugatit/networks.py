"""Generator and discriminator of U-GAT-IT (Kim et al. 2020, arXiv:1907.10830) and of its enhanced version
(zheng-yuwei/enhanced-UGATIT).

Names and values equal to znxlwm/UGATIT-pytorch and, with `enhanced`, to the other: affine instance norms, biases of the linear
layers and of the way up, and classifiers whose bias counts in the activation maps.
"""
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.translation.ugatit.cam import cam_attention, cam_logits
from models.blocks.norms import LIN, AdaLIN
from models.blocks.resnet import PaddedResidual
from models.blocks.spectral import spectral
from models.blocks.squeeze_excitation import SCSE

_STYLED = 'UpBlock1_'


class Translation(NamedTuple):
    """What a generator returns. heatmap: where its classifier looks, unbounded. attention: soft masks that sum to 1, or None."""

    image: Tensor           # (B,3,H,W) in [-1,1]
    cam: Tensor               # (B,2) logits: from the other domain, not from its own
    heatmap: Tensor           # (B,1,H/4,W/4)
    attention: Tensor | None  # (B,k,H,W)


class StyledResidual(nn.Module):
    """Residual block with AdaLIN: x (B,C,H,W), scale and shift (B,C) -> (B,C,H,W)."""

    def __init__(self, width: int, *, bias: bool, squeeze: bool):
        super().__init__()
        for number in (1, 2):
            self.add_module(f'conv{number}', nn.Conv2d(width, width, 3, 1, 1, bias=bias, padding_mode='reflect'))
            self.add_module(f'norm{number}', AdaLIN(width))
        self.se = SCSE(width) if squeeze else nn.Identity()

    def forward(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x), scale, shift))
        return x + self.se(self.norm2(self.conv2(y), scale, shift))


def _widened(width: int, *, bias: bool, transposed: bool) -> list[nn.Module]:
    """Four times the side, a quarter of the width, in two steps: each nearest neighbor and a convolution, or a transposed
    convolution in the same place."""
    layers: list[nn.Module] = []
    for wide, narrow in ((width, width // 2), (width // 2, width // 4)):
        if transposed:
            layers += [nn.Identity(), nn.Identity(), nn.ConvTranspose2d(wide, narrow, 4, 2, 1, bias=bias)]
        else:
            layers += [nn.Upsample(scale_factor=2), nn.ReflectionPad2d(1), nn.Conv2d(wide, narrow, 3, bias=bias)]
        layers += [LIN(narrow), nn.ReLU()]
    return layers


class Generator(nn.Module):
    """(B,3,H,W) in [-1,1] -> Translation.

    size: H = W, a multiple of 4. pooled: side of the pooled map from which scale and shift of AdaLIN are computed (1 is the light
    version); 0: the whole map (the full version). squeeze: scSE in every residual block. masks: k > 0 soft masks that mix k
    images; keep_input: the first of them is the input. With both, channel c*k + i is color c of image i although the input
    lies in the first three channels: so it is published, and the weights depend on it. transposed: transposed convolutions on
    the way up.
    """

    def __init__(self, size: int, width: int = 64, blocks: int = 4, pooled: int = 1, *, enhanced: bool = False,
                 squeeze: bool = False, masks: int = 0, keep_input: bool = False, transposed: bool = False):
        super().__init__()
        self.blocks, self.pooled, self.masks, self.keep_input = blocks, pooled, masks, keep_input and masks > 0
        inner = 4 * width
        self.gap_fc, self.gmp_fc = nn.Linear(inner, 1, bias=enhanced), nn.Linear(inner, 1, bias=enhanced)
        self.conv1x1 = nn.Conv2d(2 * inner, inner, 1)
        self.gamma, self.beta = nn.Linear(inner, inner, bias=enhanced), nn.Linear(inner, inner, bias=enhanced)
        for number in range(1, blocks + 1):
            self.add_module(f'{_STYLED}{number}', StyledResidual(inner, bias=enhanced, squeeze=squeeze))

        def residuals() -> list[nn.Module]:
            return [PaddedResidual(inner, bias=False, affine=enhanced, after=SCSE(inner) if squeeze else None)
                    for _ in range(blocks)]

        if masks:
            self.UpBlock_attention = nn.Sequential(*residuals(), *_widened(inner, bias=True, transposed=transposed),
                                                   nn.Conv2d(width, masks, 1), nn.Softmax(1))
        down: list[nn.Module] = []
        for narrow, wide, kernel, stride in ((3, width, 7, 1), (width, 2 * width, 3, 2), (2 * width, inner, 3, 2)):
            down += [nn.ReflectionPad2d(kernel // 2), nn.Conv2d(narrow, wide, kernel, stride, bias=False),
                     nn.InstanceNorm2d(wide, affine=enhanced), nn.ReLU()]
        self.DownBlock = nn.Sequential(*down, *residuals())
        flat = inner * (pooled or size // 4) ** 2
        self.FC = nn.Sequential(nn.Linear(flat, inner, bias=enhanced), nn.ReLU(),
                                nn.Linear(inner, inner, bias=enhanced), nn.ReLU())
        images = max(1, masks - self.keep_input)
        self.UpBlock2 = nn.Sequential(*_widened(inner, bias=enhanced, transposed=transposed), nn.ReflectionPad2d(3),
                                      nn.Conv2d(width, 3 * images, 7, bias=enhanced), nn.Tanh())

    def looked(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The half before AdaLIN: logits (B,2) and the map that its own attention weighed (B,C,H/4,W/4)."""
        x = self.DownBlock(image)
        return cam_logits(x, self.gap_fc, self.gmp_fc), F.relu(cam_attention(x, self.gap_fc, self.gmp_fc, self.conv1x1))

    def forward(self, image: Tensor) -> Translation:
        cam, x = self.looked(image)
        heatmap = x.sum(1, keepdim=True)
        told = self.FC((F.adaptive_avg_pool2d(x, self.pooled) if self.pooled else x).flatten(1))
        scale, shift, y = self.gamma(told), self.beta(told), x
        for number in range(1, self.blocks + 1):
            y = self.get_submodule(f'{_STYLED}{number}')(y, scale, shift)
        made = self.UpBlock2(y)
        if not self.masks:
            return Translation(made, cam, heatmap, None)
        attention = self.UpBlock_attention(x)  # (B,k,H,W)
        images = torch.cat([image, made], 1) if self.keep_input else made
        mixed = (images.unflatten(1, (3, self.masks)) * attention[:, None]).sum(2)
        return Translation(mixed, cam, heatmap, attention)


class Discriminator(nn.Module):
    """(B,3,H,W) in [-1,1] -> patch logits (B,1,h,w), logits of its classifier (B,2) and heat map (B,1,h+1,w+1).

    layers: depth; 7 halves the side five times (the global discriminator), 5 three times (the local one), and below 5 it is
    filled up with convolutions 3x3. sn: spectral norm. attention: whether the classifier's weights weigh the map that the patch
    logits are made from.
    """

    def __init__(self, layers: int, width: int = 64, *, enhanced: bool = False, sn: bool = True, attention: bool = True):
        super().__init__()
        if layers < 3:
            raise ValueError(f'a discriminator has at least 3 layers, not {layers}')
        self.attention = attention
        inner = width * 2 ** (layers - 2)
        for name in ('gmp_fc', 'gap_fc') if enhanced else ('gap_fc', 'gmp_fc'):
            self.add_module(name, spectral(nn.Linear(inner, 1, bias=enhanced), sn))
        self.conv1x1 = nn.Conv2d(2 * inner, inner, 1)
        self.conv = spectral(nn.Conv2d(inner, 1, 4, bias=enhanced), sn)
        shapes = [(3, width, 4, 2), *((width << i, width << i + 1, 4, 2) for i in range(layers - 3)), (inner // 2, inner, 4, 1),
                  *[(inner, inner, 3, 1)] * (5 - layers)]
        body: list[nn.Module] = []
        for narrow, wide, kernel, stride in shapes:
            body += [nn.ReflectionPad2d(1), spectral(nn.Conv2d(narrow, wide, kernel, stride), sn), nn.LeakyReLU(0.2)]
        self.model = nn.Sequential(*body)

    def forward(self, image: Tensor, judged: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """judged: another image for the classifier, such as one without its background; mask (B,1,H,W): what the classifier
        sees of its map."""
        x = self.model(image)
        seen = x if judged is None else self.model(judged)
        if mask is not None:
            seen = seen * F.interpolate(mask, seen.shape[2:], mode='area')
        cam = cam_logits(seen, self.gap_fc, self.gmp_fc)
        x = F.leaky_relu(cam_attention(x, self.gap_fc, self.gmp_fc, self.conv1x1, weighted=self.attention), 0.2)
        return self.conv(F.pad(x, (1, 1, 1, 1), mode='reflect')), cam, x.sum(1, keepdim=True)
