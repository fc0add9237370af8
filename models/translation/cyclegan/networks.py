"""Generator and discriminator of the face and anime CycleGAN: SAGAN attention in their late layers, images of 64 pixels.

The published networks. Their keys stand in the order of the published files, which is not that of the layers.
"""
from torch import Tensor, nn

from models.blocks.attention import SelfAttention
from models.blocks.spectral import SpectralEveryForward


def _spectral(conv: nn.Module, on: bool) -> nn.Module:
    return SpectralEveryForward(conv, 'weight_matrices') if on else conv


class AttentionGenerator(nn.Module):
    """(B,3,64,64) -> (B,3,64,64) in [-1,1], through a vector of `latent` numbers: no map passes around it.

    attention: whether the two attention blocks are there, at 16x16 and at 32x32. spectral: spectral norm on the way up.
    """

    def __init__(self, width: int = 64, latent: int = 100, *, attention: bool = True, spectral: bool = True):
        super().__init__()
        widths = [width, 2 * width, 4 * width, 8 * width]
        layers: list[nn.Module] = []
        for inner, out in zip([3, *widths], widths):
            layers += [nn.Conv2d(inner, out, 4, 2, 1), nn.InstanceNorm2d(out), nn.ReLU()]
        self.up_sample = nn.Sequential(*layers, nn.Conv2d(widths[-1], latent, 4), nn.ReLU())  # an encoder, for all its name

        def up(width: int, out: int, stride: int = 2, pad: int = 1) -> nn.Sequential:
            conv = _spectral(nn.ConvTranspose2d(width, out, 4, stride, pad), spectral)
            return nn.Sequential(conv, nn.InstanceNorm2d(out), nn.ReLU())

        self.l4 = up(widths[1], widths[0])
        self.l1 = up(latent, widths[3], 1, 0)
        self.l2 = up(widths[3], widths[2])
        self.l3 = up(widths[2], widths[1])
        self.last = nn.Sequential(nn.ConvTranspose2d(width, 3, 4, 2, 1), nn.Tanh())
        self.up_attn1 = SelfAttention(widths[1]) if attention else nn.Identity()
        self.up_attn2 = SelfAttention(widths[0]) if attention else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = self.l3(self.l2(self.l1(self.up_sample(x))))  # (B,2*width,16,16)
        x = self.l4(self.up_attn1(x))  # (B,width,32,32)
        return self.last(self.up_attn2(x))


class AttentionDiscriminator(nn.Module):
    """(B,3,64,64) -> (B,) logits. attention: whether the two attention blocks are there, at 8x8 and at 4x4. spectral: spectral
    norm in all convolutions but the last."""

    def __init__(self, width: int = 64, *, attention: bool = True, spectral: bool = True):
        super().__init__()

        def down(width: int, out: int) -> nn.Sequential:
            return nn.Sequential(_spectral(nn.Conv2d(width, out, 4, 2, 1), spectral), nn.LeakyReLU(0.1))

        self.l4 = down(4 * width, 8 * width)
        self.l1 = down(3, width)
        self.l2 = down(width, 2 * width)
        self.l3 = down(2 * width, 4 * width)
        self.last = nn.Sequential(nn.Conv2d(8 * width, 1, 4))
        self.attn1 = SelfAttention(4 * width) if attention else nn.Identity()
        self.attn2 = SelfAttention(8 * width) if attention else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = self.attn1(self.l3(self.l2(self.l1(x))))
        return self.last(self.attn2(self.l4(x))).flatten()
