"""Our conditional U-Net: small and folded, for a CPU at 64 pixels; without a condition it is an ordinary denoiser.

What is fixed by the target (its image without the face, parsing condition channels, landmark heat maps) enters as further
channels of the noisy image. The source's identity enters twice: added to the embedding of the noise level, which scales and
shifts every block, and as a few tokens beside the places of the image in each attention.
"""
from dataclasses import dataclass, replace
from math import gcd

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.blocks.folding import unfolding
from models.ddpm.networks.adm import frequencies
from models.ddpm.networks.denoiser import Denoiser
from models.ddpm.parameterization import Prediction, Schedule

_GROUPS = 8


@dataclass(frozen=True)
class Condition:
    """structure (B,3+S,H,W): the target without its face in [-1,1], then parsing condition channels and heat maps in [0,1];
    identity (B,D), unit length. A sample that is not told the one or the other has zeros there."""

    structure: Tensor
    identity: Tensor

    def masked(self, structure: Tensor, identity: Tensor) -> 'Condition':
        """Only what is True in (B,) bool is told."""
        return Condition(self.structure * structure[:, None, None, None], self.identity * identity[:, None])

    def anonymous(self) -> 'Condition':
        """The same without an identity."""
        return replace(self, identity=torch.zeros_like(self.identity))

    def beside(self, other: 'Condition') -> 'Condition':
        """Both batches in one."""
        return Condition(torch.cat([self.structure, other.structure]), torch.cat([self.identity, other.identity]))


class _Residual(nn.Module):
    """x (B,I,h,w), emb (B,E) -> (B,O,h,w); emb scales and shifts the second norm."""

    def __init__(self, width: int, out: int, emb: int):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(_GROUPS, width), nn.Conv2d(width, out, 3, 1, 1)
        self.norm2, self.conv2 = nn.GroupNorm(_GROUPS, out), nn.Conv2d(out, out, 3, 1, 1)
        self.affine = nn.Linear(emb, 2 * out)
        self.skip = nn.Conv2d(width, out, 1, bias=False) if width != out else nn.Identity()
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        scale, shift = self.affine(emb)[:, :, None, None].chunk(2, 1)
        h = self.conv1(F.silu(self.norm1(x)))
        return self.skip(x) + self.conv2(F.silu(torch.addcmul(shift, self.norm2(h), 1 + scale)))


class _Attention(nn.Module):
    """Each place of x (B,C,h,w) looks at all places and at the identity's tokens (B,T,W)."""

    def __init__(self, width: int, token: int):
        super().__init__()
        self.norm, self.heads = nn.GroupNorm(_GROUPS, width), width // gcd(width, 32)
        self.places, self.tokens = nn.Linear(width, 3 * width), nn.Linear(token, 2 * width)
        self.out = nn.Linear(width, width)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        q, *own = self.places(self.norm(x).flatten(2).transpose(1, 2)).chunk(3, 2)  # (B,hw,C) each
        k, v = (torch.cat(pair, 1) for pair in zip(own, self.tokens(tokens).chunk(2, 2)))  # (B,hw+T,C)
        q, k, v = (y.unflatten(2, (self.heads, -1)).transpose(1, 2) for y in (q, k, v))
        h = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)  # (B,hw,C)
        return x + self.out(h).transpose(1, 2).view_as(x)


class _Level(nn.Module):
    """Residual blocks at one resolution, each followed by attention where `token` is given."""

    def __init__(self, width: int, out: int, depth: int, emb: int, token: int | None):
        super().__init__()
        self.blocks = nn.ModuleList(_Residual(out if i else width, out, emb) for i in range(depth))
        self.attention = nn.ModuleList(_Attention(out, token) for _ in range(depth if token else 0))

    def forward(self, x: Tensor, emb: Tensor, tokens: Tensor) -> Tensor:
        for index, block in enumerate(self.blocks):
            x = block(x, emb)
            if self.attention:
                x = self.attention[index](x, tokens)
        return x


class SwapUNet(Denoiser):
    """Noisy image (B,3,H,W), timestep (B,), Condition or None -> (B,3,H,W), or (B,6,H,W) with learned sigma.

    fold: power of 2 by which images are folded into channels. widths: channels at 1/fold, 1/(2 fold), ... of the size. depth:
    blocks per resolution. attention: on how many of the coarsest resolutions there is attention. condition channels: S of the
    condition. id_dim: length of the identity vector, which becomes `tokens` tokens.
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
        self.fold, self.count, base = fold, tokens, widths[0]
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
        self.out = nn.Sequential(nn.GroupNorm(_GROUPS, base), nn.SiLU(),
                                 *unfolding(base, fold, 6 if learned_sigma else 3, shuffle=True))

    def forward(self, image: Tensor, timestep: Tensor, condition: Condition | None = None) -> Tensor:
        identity = image.new_zeros(image.shape[0], self.tokens.in_features)
        x = self.stem(F.pixel_unshuffle(image, self.fold))
        if condition is not None:
            identity = condition.identity * self.tokens.in_features ** 0.5
            background_image, condition_channels = condition.structure[:, :3], condition.structure[:, 3:]
            x = x + self.structure(
                torch.cat([F.pixel_unshuffle(background_image, self.fold), F.avg_pool2d(condition_channels, self.fold)], 1)
            )
        emb = F.silu(self.level(frequencies(timestep, self.level[0].in_features)) + self.identity(identity))
        tokens = self.tokens(identity).unflatten(1, (self.count, -1))  # (B,T,W)
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
    """Landmarks (B,K,2) in pixels -> (B,K,size,size): a Gaussian of `spread` times the side around each, 0 for one
    that is NaN."""
    places = torch.arange(size, device=points.device, dtype=points.dtype)
    x, y = (-0.5 * ((places - points[..., axis, None]) / (spread * size)).square() for axis in (0, 1))  # (B,K,size) each
    return (x[:, :, None, :] + y[:, :, :, None]).exp().nan_to_num(0.0)
