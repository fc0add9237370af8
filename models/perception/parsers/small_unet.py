"""Small U-Net (Ronneberger et al. 2015) of SimonEnkel/lightweight-unet-face-parsing, with its tensor names."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _unit(width: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(width, out, 3, padding=1), nn.ReLU(), nn.Conv2d(out, out, 3, padding=1), nn.ReLU())


class SmallUNet(nn.Module):
    """(B,3,H,W) in [-1,1] aligned as in CelebA-HQ -> (B,19,H,W) logits in the published order of classes; H and W multiples of
    4."""

    def __init__(self) -> None:
        super().__init__()
        self.enc1, self.enc2, self.bottleneck = _unit(3, 32), _unit(32, 64), _unit(64, 128)
        self.up1, self.dec1 = nn.ConvTranspose2d(128, 64, 2, 2), _unit(128, 64)
        self.up2, self.dec2 = nn.ConvTranspose2d(64, 32, 2, 2), _unit(64, 32)
        self.out = nn.Conv2d(32, 19, 1)

    def forward(self, x: Tensor) -> Tensor:
        fine = self.enc1(x)  # (B,32,H,W)
        middle = self.enc2(F.max_pool2d(fine, 2))  # (B,64,H/2,W/2)
        x = self.bottleneck(F.max_pool2d(middle, 2))  # (B,128,H/4,W/4)
        x = self.dec1(torch.cat([self.up1(x), middle], 1))
        x = self.dec2(torch.cat([self.up2(x), fine], 1))
        return self.out(x)
