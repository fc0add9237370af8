"""Networks of StarGAN v2 (Choi et al. 2020, arXiv:1912.01865, appendix C).

Parameters and outputs equal those of clovaai/stargan-v2.
"""
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SQRT_HALF = 1 / math.sqrt(2)  # keeps the variance of a sum of two branches


def _resized(x: Tensor, change: int) -> Tensor:
    """Halve the side for change -1, double it for 1, by average pooling and nearest neighbor."""
    if change < 0:
        return F.avg_pool2d(x, 2)
    return F.interpolate(x, scale_factor=2.0, mode='nearest') if change > 0 else x


class _Block(nn.Module):
    """Pre-activation residual block of unit variance: (B,I,H,W) -> (B,O,H,W), or half that size with `down`."""

    def __init__(self, width: int, out: int, *, norm: bool = False, down: bool = True):
        super().__init__()
        self.change = -1 if down else 0
        self.conv1, self.conv2 = nn.Conv2d(width, width, 3, 1, 1), nn.Conv2d(width, out, 3, 1, 1)
        self.norm1, self.norm2 = (nn.InstanceNorm2d(width, affine=True) if norm else nn.Identity() for _ in range(2))
        self.conv1x1 = nn.Conv2d(width, out, 1, bias=False) if width != out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.leaky_relu(self.norm1(x), 0.2))
        y = self.conv2(F.leaky_relu(self.norm2(_resized(y, self.change)), 0.2))
        return (_resized(self.conv1x1(x), self.change) + y) * SQRT_HALF


class _AdaIN(nn.Module):
    """(1 + gamma) * instance_norm(x) + beta, gamma and beta linear in the style: x (B,C,H,W), s (B,S) -> (B,C,H,W)."""

    def __init__(self, style: int, width: int):
        super().__init__()
        self.fc = nn.Linear(style, 2 * width)

    def forward(self, x: Tensor, s: Tensor) -> Tensor:
        gamma, beta = self.fc(s)[:, :, None, None].chunk(2, 1)
        return (1 + gamma) * F.instance_norm(x) + beta


class _StyledBlock(nn.Module):
    """Residual block with AdaIN: x (B,I,H,W), s (B,S) -> (B,O,H,W), or twice that size with `up`.

    Args:
        shortcut: add the input to the residual branch.
    """

    def __init__(self, width: int, out: int, style: int, *, up: bool, shortcut: bool):
        super().__init__()
        self.change, self.shortcut = int(up), shortcut
        self.conv1, self.conv2 = nn.Conv2d(width, out, 3, 1, 1), nn.Conv2d(out, out, 3, 1, 1)
        self.norm1, self.norm2 = _AdaIN(style, width), _AdaIN(style, out)
        self.conv1x1 = nn.Conv2d(width, out, 1, bias=False) if width != out else nn.Identity()

    def forward(self, x: Tensor, s: Tensor) -> Tensor:
        y = self.conv1(_resized(F.leaky_relu(self.norm1(x, s), 0.2), self.change))
        y = self.conv2(F.leaky_relu(self.norm2(y, s), 0.2))
        return (self.conv1x1(_resized(x, self.change)) + y) * SQRT_HALF if self.shortcut else y


class _HighPass(nn.Module):
    """Laplacian filter, 8 / weight times the difference of a pixel to the mean of its neighbors: (B,C,H,W) -> (B,C,H,W)."""

    filter: Tensor

    def __init__(self, weight: float):
        super().__init__()
        kernel = -torch.ones(3, 3)
        kernel[1, 1] = 8
        self.register_buffer('filter', kernel / weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.filter.repeat(x.shape[1], 1, 1, 1), padding=1, groups=x.shape[1])


class StyleGenerator(nn.Module):
    """Image (B,3,H,W) and style (B,style) -> (B,3,H,W), unbounded.

    Args:
        size: H = W, a power of two from 32 on.
        style: length of a style.
        width: channels of the first layer, 2^14 / size in the publication.
        cap: largest number of channels, up to which they double with each halving.
        high_pass: weight of the high-pass filter on skip connections around the bottleneck (CelebA-HQ), 0 for none (AFHQ).
    """

    def __init__(self, size: int = 256, style: int = 64, width: int = 64, cap: int = 512, high_pass: float = 0.0):
        super().__init__()
        self.from_rgb = nn.Conv2d(3, width, 3, 1, 1)
        self.encode = nn.ModuleList()
        decode: list[nn.Module] = []
        widths = [width]
        for _ in range(int(math.log2(size)) - 4 + (high_pass > 0)):
            widths.append(min(2 * widths[-1], cap))
        for inner, out in zip(widths, widths[1:]):
            self.encode.append(_Block(inner, out, norm=True))
            decode.insert(0, _StyledBlock(out, inner, style, up=True, shortcut=high_pass == 0))
        for _ in range(2):
            self.encode.append(_Block(out, out, norm=True, down=False))
            decode.insert(0, _StyledBlock(out, out, style, up=False, shortcut=high_pass == 0))
        self.decode = nn.ModuleList(decode)
        self.to_rgb = nn.Sequential(nn.InstanceNorm2d(width, affine=True), nn.LeakyReLU(0.2), nn.Conv2d(width, 3, 1))
        if high_pass:
            self.hpf = _HighPass(high_pass)

    def forward(self, x: Tensor, s: Tensor, masks: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """masks: two (B,1,h,w) in [0,1] of the skip connections, of the face at 32 pixels and of eyes and nose at 64 and 128
        pixels. None disables the connections."""
        x, skips = self.from_rgb(x), {}
        for block in self.encode:
            if masks is not None and block.change and x.shape[2] in (32, 64, 128):
                skips[x.shape[2]] = x
            x = block(x)
        for block in self.decode:
            x = block(x, s)
            side = x.shape[2]
            if masks is not None and block.change and side in skips:
                mask = F.interpolate(masks[side != 32], size=side, mode='bilinear')
                x = x + self.hpf(mask * skips[side])
        return self.to_rgb(x)


def _select_domain(outputs: list[Tensor], domain: Tensor) -> Tensor:
    """Outputs (B,S) of one head per domain and a domain per sample (B,) int64 -> (B,S)."""
    return torch.stack(outputs, 1)[torch.arange(len(domain), device=domain.device), domain]


class MappingNetwork(nn.Module):
    """Latent (B,latent) and domain (B,) int64 -> style (B,style)."""

    def __init__(self, latent: int = 16, style: int = 64, domains: int = 2, width: int = 512):
        super().__init__()
        def layers(*widths: int) -> list[nn.Module]:
            return [layer for a, b in zip(widths, widths[1:]) for layer in (nn.Linear(a, b), nn.ReLU())]
        self.shared = nn.Sequential(*layers(latent, width, width, width, width))
        self.unshared = nn.ModuleList(nn.Sequential(*layers(width, width, width, width), nn.Linear(width, style))
                                      for _ in range(domains))

    def forward(self, z: Tensor, domain: Tensor) -> Tensor:
        h = self.shared(z)
        return _select_domain([head(h) for head in self.unshared], domain)


def _trunk(size: int, width: int, cap: int) -> tuple[list[nn.Module], int]:
    """Layers (B,3,size,size) -> (B,O,1,1), and the number of channels O."""
    layers: list[nn.Module] = [nn.Conv2d(3, width, 3, 1, 1)]
    for _ in range(int(math.log2(size)) - 2):
        out = min(2 * width, cap)
        layers.append(_Block(width, out))
        width = out
    return [*layers, nn.LeakyReLU(0.2), nn.Conv2d(width, width, 4), nn.LeakyReLU(0.2)], width


class StyleEncoder(nn.Module):
    """Image (B,3,H,W) and its domain (B,) int64 -> style (B,style)."""

    def __init__(self, size: int = 256, style: int = 64, domains: int = 2, width: int = 64, cap: int = 512):
        super().__init__()
        layers, width = _trunk(size, width, cap)
        self.shared = nn.Sequential(*layers)
        self.unshared = nn.ModuleList(nn.Linear(width, style) for _ in range(domains))

    def forward(self, x: Tensor, domain: Tensor) -> Tensor:
        h = self.shared(x).flatten(1)
        return _select_domain([head(h) for head in self.unshared], domain)


class DomainDiscriminator(nn.Module):
    """Image (B,3,H,W) and domain (B,) int64 -> (B,) logits of being a real image of that domain."""

    def __init__(self, size: int = 256, domains: int = 2, width: int = 64, cap: int = 512):
        super().__init__()
        layers, width = _trunk(size, width, cap)
        self.main = nn.Sequential(*layers, nn.Conv2d(width, domains, 1))

    def forward(self, x: Tensor, domain: Tensor) -> Tensor:
        return self.main(x).flatten(1).gather(1, domain[:, None]).squeeze(1)
