"""Generator and discriminator of U-GAT-IT (Kim et al. 2020, arXiv:1907.10830) and of its enhanced version.

Parameters and outputs equal those of znxlwm/UGATIT-pytorch and, with `enhanced`, of zheng-yuwei/enhanced-UGATIT: affine instance
norms, biases of the linear layers and of the decoder, and classifiers whose bias is part of the attention.
"""
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from models.blocks.norms import LIN, AdaLIN
from models.blocks.resnet import PaddedResidual
from models.blocks.spectral import spectral
from models.blocks.squeeze_excitation import SCSE
from models.translation.ugatit.cam import Classifier, cam_attention, cam_logits

_STYLED = 'UpBlock1_'  # name of the residual blocks with AdaLIN, followed by a number from 1 on


class Translation(NamedTuple):
    """Output of a generator."""

    image: Tensor             # (B,3,H,W) in [-1,1]
    cam: Tensor               # (B,2) logits of the input being of the source domain
    heatmap: Tensor           # (B,1,H/4,W/4), unbounded: the attended feature map, summed over channels
    attention: Tensor | None  # (B,k,H,W): soft masks of sum 1


class StyledResidual(nn.Module):
    """Residual block with AdaLIN: x (B,C,H,W), scale and shift (B,C) -> (B,C,H,W).

    Args:
        width: C.
        bias: biases of the convolutions.
        squeeze: scSE at the end of the residual branch.
    """

    def __init__(self, width: int, *, bias: bool, squeeze: bool):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(width, width, 3, 1, 1, bias=bias, padding_mode='reflect'), AdaLIN(width)
        self.conv2, self.norm2 = nn.Conv2d(width, width, 3, 1, 1, bias=bias, padding_mode='reflect'), AdaLIN(width)
        self.se = SCSE(width) if squeeze else nn.Identity()

    def forward(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x), scale, shift))
        return x + self.se(self.norm2(self.conv2(y), scale, shift))


def _upsampling(width: int, *, bias: bool, transposed: bool) -> list[nn.Module]:
    """Decoder layers: (B,width,H,W) -> (B,width/4,4H,4W).

    Two doublings, each by nearest neighbor and a convolution, or by a transposed convolution at the same index of the state dict.
    """
    layers: list[nn.Module] = []
    for inner, out in ((width, width // 2), (width // 2, width // 4)):
        if transposed:
            layers += [nn.Identity(), nn.Identity(), nn.ConvTranspose2d(inner, out, 4, 2, 1, bias=bias)]
        else:
            layers += [nn.Upsample(scale_factor=2), nn.ReflectionPad2d(1), nn.Conv2d(inner, out, 3, bias=bias)]
        layers += [LIN(out), nn.ReLU()]
    return layers


class Generator(nn.Module):
    """Generator with CAM attention and AdaLIN: (B,3,H,W) in [-1,1] -> Translation.

    With `keep_input`, channel c*k + i of the blended images is color c of image i, although the input takes the first three
    channels, as in the published weights.

    Args:
        size: H = W, a multiple of 4.
        width: channels of the first layer.
        blocks: residual blocks before and after the attention each.
        pooled: side of the pooled map from which AdaLIN's scale and shift are computed: 1 in the light version, 0 (the whole map)
            in the full one.
        enhanced: networks of the enhanced version.
        squeeze: scSE in every residual block.
        masks: k > 0 soft masks that blend k images.
        keep_input: the first of these images is the input.
        transposed: transposed convolutions for upsampling.
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
            self.UpBlock_attention = nn.Sequential(*residuals(), *_upsampling(inner, bias=True, transposed=transposed),
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
        self.UpBlock2 = nn.Sequential(*_upsampling(inner, bias=enhanced, transposed=transposed), nn.ReflectionPad2d(3),
                                      nn.Conv2d(width, 3 * images, 7, bias=enhanced), nn.Tanh())

    def encode(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Layers before AdaLIN: (B,3,H,W) -> CAM logits (B,2) and attended feature map (B,C,H/4,W/4)."""
        x = self.DownBlock(image)
        return cam_logits(x, self.gap_fc, self.gmp_fc), F.relu(cam_attention(x, self.gap_fc, self.gmp_fc, self.conv1x1))

    def forward(self, image: Tensor) -> Translation:
        cam, x = self.encode(image)
        heatmap = x.sum(1, keepdim=True)
        style = self.FC((F.adaptive_avg_pool2d(x, self.pooled) if self.pooled else x).flatten(1))
        scale, shift, y = self.gamma(style), self.beta(style), x
        for number in range(1, self.blocks + 1):
            y = self.get_submodule(f'{_STYLED}{number}')(y, scale, shift)
        decoded = self.UpBlock2(y)  # (B,3*images,H,W)
        if not self.masks:
            return Translation(decoded, cam, heatmap, None)
        attention = self.UpBlock_attention(x)  # (B,k,H,W)
        images = torch.cat([image, decoded], 1) if self.keep_input else decoded
        blended = (rearrange(images, 'b (color mask) h w -> b color mask h w', color=3) * attention[:, None]).sum(2)
        return Translation(blended, cam, heatmap, attention)


def min_size_px(layers: int) -> int:
    """Side of the smallest image that a discriminator of this depth accepts: 3 pixels remain after its layers of stride 2."""
    return 3 * 2 ** (layers - 2)


class Discriminator(nn.Module):
    """Patch discriminator with CAM attention.

    (B,3,H,W) in [-1,1] -> patch logits (B,1,h,w), logits of the classifier (B,2) and heat map (B,1,h+1,w+1).

    Args:
        layers: depth, at least 3: 7 halve the side five times (global discriminator), 5 three times (local); below 5 there are
            additional 3x3 convolutions.
        width: channels of the first layer.
        enhanced: networks of the enhanced version.
        sn: spectral normalization.
        attention: attention of the patch logits to the channels by the classifier's weights.

    Raises:
        ValueError: fewer than 3 layers.
    """

    gap_fc: Classifier
    gmp_fc: Classifier

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

    def forward(self, image: Tensor, cam_image: Tensor | None = None,
                cam_mask: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """See the class.

        Args:
            image: (B,3,H,W).
            cam_image: another image (B,3,H,W) for the classifier, such as one without its background.
            cam_mask: (B,1,H,W) in [0,1], multiplied with the classifier's feature map.
        """
        x = self.model(image)
        cam_map = x if cam_image is None else self.model(cam_image)
        if cam_mask is not None:
            cam_map = cam_map * F.interpolate(cam_mask, cam_map.shape[2:], mode='area')
        cam = cam_logits(cam_map, self.gap_fc, self.gmp_fc)
        x = F.leaky_relu(cam_attention(x, self.gap_fc, self.gmp_fc, self.conv1x1, weighted=self.attention), 0.2)
        return self.conv(F.pad(x, (1, 1, 1, 1), mode='reflect')), cam, x.sum(1, keepdim=True)
