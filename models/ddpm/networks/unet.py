"""Conditional U-Net for 64-pixel images, folded into channels; without a condition it is an unconditional denoiser.

The target's structure (its image without the face, the parsing map, landmark heat maps) is added to the stem as further input
channels. The identity embedding is added to the embedding of the noise level, which modulates every block, and enters each
attention as tokens in addition to the positions of the image.
"""
from dataclasses import dataclass, replace
from math import gcd

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from models.blocks.folding import unfolding
from models.ddpm.networks.adm import frequencies
from models.ddpm.networks.denoiser import Denoiser
from models.ddpm.parameterization import Prediction, Schedule

_NUM_GROUPS = 8


@dataclass(frozen=True)
class Condition:
    """Condition of SwapUNet.

    structure: (B,3+S,H,W), the target without its face in [-1,1], then parsing and heat maps in [0,1]. id_embedding: (B,D), unit
    length. A dropped part is all zeros.
    """

    structure: Tensor
    id_embedding: Tensor

    def masked(self, keep_structure: Tensor, keep_id: Tensor) -> 'Condition':
        """Keep the parts whose (B,) bool mask is True."""
        return Condition(self.structure * keep_structure[:, None, None, None], self.id_embedding * keep_id[:, None])

    def without_identity(self) -> 'Condition':
        """The same structure, unconditional in the identity."""
        return replace(self, id_embedding=torch.zeros_like(self.id_embedding))

    def concatenated(self, other: 'Condition') -> 'Condition':
        """Both batches in one, along the batch axis."""
        return Condition(torch.cat([self.structure, other.structure]), torch.cat([self.id_embedding, other.id_embedding]))


class _Residual(nn.Module):
    """x (B,I,h,w), emb (B,E) -> (B,O,h,w); emb scales and shifts the second norm."""

    def __init__(self, width: int, out: int, emb: int):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(_NUM_GROUPS, width), nn.Conv2d(width, out, 3, 1, 1)
        self.norm2, self.conv2 = nn.GroupNorm(_NUM_GROUPS, out), nn.Conv2d(out, out, 3, 1, 1)
        self.affine = nn.Linear(emb, 2 * out)
        self.skip = nn.Conv2d(width, out, 1, bias=False) if width != out else nn.Identity()
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        scale, shift = self.affine(emb)[:, :, None, None].chunk(2, 1)
        h = self.conv1(F.silu(self.norm1(x)))
        return self.skip(x) + self.conv2(F.silu(torch.addcmul(shift, self.norm2(h), 1 + scale)))


class _Attention(nn.Module):
    """Attention of the positions of x (B,C,h,w) over all positions and the identity tokens (B,T,W) -> (B,C,h,w)."""

    def __init__(self, width: int, token: int):
        super().__init__()
        self.norm, self.heads = nn.GroupNorm(_NUM_GROUPS, width), width // gcd(width, 32)
        self.places, self.tokens = nn.Linear(width, 3 * width), nn.Linear(token, 2 * width)
        self.out = nn.Linear(width, width)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        q, *key_value = self.places(rearrange(self.norm(x), 'b c h w -> b (h w) c')).chunk(3, 2)  # (B,hw,C) each
        k, v = (torch.cat(pair, 1) for pair in zip(key_value, self.tokens(tokens).chunk(2, 2)))  # (B,hw+T,C)
        q, k, v = (rearrange(y, 'b n (heads c) -> b heads n c', heads=self.heads) for y in (q, k, v))
        h = rearrange(F.scaled_dot_product_attention(q, k, v), 'b heads n c -> b n (heads c)')
        return x + rearrange(self.out(h), 'b (h w) c -> b c h w', h=x.shape[2])


class _Level(nn.Module):
    """Residual blocks at one resolution, each followed by attention if `token`, the width of the identity tokens, is not
    None."""

    def __init__(self, width: int, out: int, depth: int, emb: int, token: int | None):
        super().__init__()
        self.blocks = nn.ModuleList(_Residual(out if i else width, out, emb) for i in range(depth))
        self.attention = nn.ModuleList(_Attention(out, token) for _ in range(depth)) if token else nn.ModuleList()

    def forward(self, x: Tensor, emb: Tensor, tokens: Tensor) -> Tensor:
        for index, block in enumerate(self.blocks):
            x = block(x, emb)
            if self.attention:
                x = self.attention[index](x, tokens)
        return x


class SwapUNet(Denoiser):
    """Noisy image (B,3,H,W), timestep (B,), Condition or None -> (B,3,H,W), or (B,6,H,W) with learned sigma.

    Args:
        size: side of the images in pixels.
        fold: power of 2 by which images are folded into channels.
        widths: channels at 1/fold, 1/(2 fold), ... of the size.
        depth: residual blocks per resolution.
        attention: number of the coarsest resolutions with attention.
        condition_channels: S, channels of the structure in addition to the image.
        id_dim: length of the identity embedding.
        tokens: number of identity tokens.
        prediction, learned_sigma, schedule: see Denoiser.
    """

    def __init__(
        self,
        size: int,
        *,
        fold: int,
        widths: tuple[int, ...],
        depth: int,
        attention: int,
        condition_channels: int,
        id_dim: int,
        tokens: int,
        prediction: Prediction,
        learned_sigma: bool,
        schedule: Schedule,
    ):
        super().__init__(size, prediction=prediction, learned_sigma=learned_sigma, schedule=schedule)
        self.fold, self.count = fold, tokens
        self.base = base = widths[0]
        emb, token, levels = 4 * base, widths[-1], len(widths)
        self.level = nn.Sequential(nn.Linear(base, emb), nn.SiLU(), nn.Linear(emb, emb))
        self.identity = nn.Sequential(nn.Linear(id_dim, emb), nn.SiLU(), nn.Linear(emb, emb))
        self.tokens = nn.Linear(id_dim, tokens * token)
        self.stem = nn.Conv2d(3 * fold ** 2, base, 3, 1, 1)
        self.structure = nn.Conv2d(3 * fold ** 2 + condition_channels, base, 3, 1, 1, bias=False)

        def level(width: int, index: int) -> _Level:
            return _Level(width, widths[index], depth, emb, token if index >= levels - attention else None)

        self.down = nn.ModuleList(level(widths[max(0, i - 1)], i) for i in range(levels))
        self.shrink = nn.ModuleList(nn.Conv2d(width, width, 3, 2, 1) for width in widths[:-1])
        self.middle = level(widths[-1], levels - 1)
        self.up = nn.ModuleList(level(widths[i] + widths[min(i + 1, levels - 1)], i) for i in range(levels))
        self.out = nn.Sequential(nn.GroupNorm(_NUM_GROUPS, base), nn.SiLU(),
                                 *unfolding(base, fold, 6 if learned_sigma else 3, shuffle=True))

    def forward(self, image: Tensor, timestep: Tensor, condition: Condition | None = None) -> Tensor:
        id_embedding = image.new_zeros(image.shape[0], self.tokens.in_features)
        x = self.stem(F.pixel_unshuffle(image, self.fold))
        if condition is not None:
            id_embedding = condition.id_embedding * self.tokens.in_features ** 0.5
            background_image, condition_channels = condition.structure[:, :3], condition.structure[:, 3:]
            x = x + self.structure(
                torch.cat([F.pixel_unshuffle(background_image, self.fold), F.avg_pool2d(condition_channels, self.fold)], 1)
            )
        emb = F.silu(self.level(frequencies(timestep, self.base)) + self.identity(id_embedding))
        tokens = self.tokens(id_embedding).unflatten(1, (self.count, -1))  # (B,T,W)
        maps = []
        for index, level in enumerate(self.down):
            if index:
                x = self.shrink[index - 1](x)
            x = level(x, emb, tokens)
            maps.append(x)
        x = self.middle(x, emb, tokens)
        for index in reversed(range(len(maps))):
            x = self.up[index](torch.cat([x, maps[index]], 1), emb, tokens)
            if index:
                x = F.interpolate(x, scale_factor=2, mode='nearest')
        return self.out(x)


def heat_maps(points: Tensor, size: int, *, spread: float = 0.03) -> Tensor:
    """Landmarks (B,K,2) in pixels -> heat maps (B,K,size,size): Gaussians of standard deviation `spread` times the side, all 0
    for a landmark that is NaN."""
    positions = torch.arange(size, device=points.device, dtype=points.dtype)
    x, y = (-0.5 * ((positions - points[..., axis, None]) / (spread * size)).square() for axis in (0, 1))  # (B,K,size) each
    return (x[:, :, None, :] + y[:, :, :, None]).exp().nan_to_num(0.0)
