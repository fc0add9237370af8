"""Encoder and decoder of the CVAE. Their finest maps are the images folded into channels (pixel unshuffle)."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.blocks.folding import folded, folded_channels, unfolding
from models.blocks.residual import AdaINResidual, Residual


class Encoder(nn.Module):
    """Target image and its parsing, folded -> mean and log variance of a spatial latent.

    (B,I,h,w) -> two (B,latent,h/2^n,w/2^n), n = len(widths) - 1. The log variance is bounded to -8..4.
    """

    def __init__(self, channels: int, widths: tuple[int, ...], latent: int):
        super().__init__()
        self.stem = nn.Conv2d(channels, widths[0], 3, 1, 1)
        self.down = nn.Sequential(*(Residual(a, b, 2) for a, b in zip(widths, widths[1:])))
        self.head = nn.Conv2d(widths[-1], 2 * latent, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, logvar = self.head(F.silu(self.down(self.stem(x)))).float().chunk(2, 1)
        return mean, 6 * torch.tanh((logvar + 2) / 6) - 2


class Decoder(nn.Module):
    """Latent, identity and background maps -> image: the identity enters by AdaIN in every block.

    latent (B,L,h,w), identity (B,D), maps of BackgroundPath, background image (B,3,H,W): the target with its face hidden; shape
    (B,condition channels,H,W): its parsing. Returns (B,3,H,W). The background image is added to the output, so that the residual
    path redraws no background. fine: channels of a last level of twice the finest side, which sees background image and shape as
    they are, 0 for none.
    """

    def __init__(self, latent: int, identity: int, style: int, widths: tuple[int, ...], depth: int, background: int, fold: int,
                 condition_channels: int, fine: int = 0):
        super().__init__()
        self.mapping = nn.Sequential(nn.Linear(identity, style), nn.SiLU(), nn.Linear(style, style), nn.SiLU())
        self.stem = nn.Conv2d(latent, widths[-1], 3, 1, 1)
        self.levels = nn.ModuleList()
        previous = widths[-1]
        for width in reversed(widths):
            self.levels.append(nn.ModuleList(AdaINResidual(width if i else previous + background, width, style)
                                             for i in range(depth)))
            previous = width
        self.fine = None
        if fine:
            self.fold = fold = fold // 2
            self.fine = AdaINResidual(previous + folded_channels(condition_channels, fold), fine, style)
            previous = fine
        self.out = nn.Sequential(nn.GroupNorm(8, previous), nn.SiLU(), *unfolding(previous, fold))

    def forward(self, latent: Tensor, identity: Tensor, maps: list[Tensor], background_image: Tensor, shape: Tensor) -> Tensor:
        style = self.mapping(identity * identity.shape[1] ** 0.5)
        x = self.stem(latent)
        for index, blocks in enumerate(self.levels):
            if index:
                x = F.interpolate(x, scale_factor=2, mode='nearest')
            x = torch.cat([x, maps[-1 - index]], 1)
            for block in blocks:
                x = block(x, style)
        if self.fine is not None:
            x = F.interpolate(x, scale_factor=2, mode='bilinear')
            x = self.fine(torch.cat([x, folded(background_image, shape, self.fold)], 1), style)
        return self.out(x).float() + background_image
