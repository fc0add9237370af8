"""Encoder and decoder of the CVAE. Their finest maps are images folded into channels (pixel unshuffle)."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.blocks.folding import folded, folded_channels, unfolding
from models.blocks.residual import AdaINResidual, ConditionedBlocks, Residual


class Encoder(nn.Module):
    """Gaussian posterior q(z | target, parsing) over a spatial latent (Kingma & Welling 2014, section 3).

    channels: of the folded target and its parsing map. widths: channels at 1, 1/2, 1/4, ... of the folded size. latent: channels
    of z.
    """

    def __init__(self, channels: int, widths: tuple[int, ...], latent: int):
        super().__init__()
        self.stem = nn.Conv2d(channels, widths[0], 3, 1, 1)
        self.down = nn.Sequential(*(Residual(a, b, 2) for a, b in zip(widths, widths[1:])))
        self.head = nn.Conv2d(widths[-1], 2 * latent, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B,channels,h,w) -> mean and log variance, (B,latent,h/2^n,w/2^n) each with n = len(widths) - 1. The log variance
        is bounded to -8..4."""
        x = self.down(self.stem(x))  # (B,W,h/2^n,w/2^n)
        mean, logvar = self.head(F.silu(x)).float().chunk(2, 1)  # (B,latent,h/2^n,w/2^n) each
        return mean, 6 * torch.tanh((logvar + 2) / 6) - 2


class Decoder(nn.Module):
    """Latent, identity embedding and background maps -> image. The identity enters each block by AdaIN (Huang & Belongie 2017,
    eq. 8).

    The background image is added to the output, so that the convolutions render the face only.

    latent: channels of z. id_dim: length of the identity embedding. style: width of its mapping network. widths, fold: see
    CVAEConfig. depth: blocks per resolution. background: channels of the background maps. condition_channels: channels of the
    parsing map. fine: channels of a last level of twice the finest size, which takes background image and parsing map without
    folding them as far; 0 for none.
    """

    def __init__(self, latent: int, id_dim: int, style: int, widths: tuple[int, ...], depth: int, background: int, fold: int,
                 condition_channels: int, fine: int = 0):
        super().__init__()
        self.mapping = nn.Sequential(nn.Linear(id_dim, style), nn.SiLU(), nn.Linear(style, style), nn.SiLU())
        self.stem = nn.Conv2d(latent, widths[-1], 3, 1, 1)
        self.levels = nn.ModuleList()
        previous = widths[-1]
        for width in reversed(widths):
            self.levels.append(ConditionedBlocks(AdaINResidual(width if i else previous + background, width, style)
                                                 for i in range(depth)))
            previous = width
        self.fine = None
        if fine:
            self.fold = fold = fold // 2
            self.fine = AdaINResidual(previous + folded_channels(condition_channels, fold), fine, style)
            previous = fine
        self.out = nn.Sequential(nn.GroupNorm(8, previous), nn.SiLU(), *unfolding(previous, fold))

    def forward(self, latent: Tensor, embedding: Tensor, maps: list[Tensor], background_image: Tensor,
                parsing_onehot: Tensor) -> Tensor:
        """latent (B,L,h,w), embedding (B,D) unit length, maps of BackgroundPath, background_image (B,3,H,W) in [-1,1],
        parsing_onehot (B,condition_channels,H,W) -> image (B,3,H,W), not clamped."""
        style = self.mapping(embedding * embedding.shape[1] ** 0.5)  # (B,S)
        x = self.stem(latent)  # (B,W,h,w)
        for index, blocks in enumerate(self.levels):
            if index:
                x = F.interpolate(x, scale_factor=2, mode='nearest')  # (B,W,2h,2w)
            x = torch.cat([x, maps[-1 - index]], 1)  # (B,W+background,h,w)
            x = blocks(x, style)
        if self.fine is not None:
            x = F.interpolate(x, scale_factor=2, mode='bilinear')
            x = self.fine(torch.cat([x, folded(background_image, parsing_onehot, self.fold)], 1), style)  # (B,fine,2h,2w)
        return self.out(x).float() + background_image  # (B,3,H,W)
