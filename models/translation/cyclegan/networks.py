"""Generator and discriminator of the CycleGAN for faces and anime faces: SAGAN attention, images of 64 pixels.

Parameters have the names and the order of the published files, which is not the order of the layers.
"""
from torch import Tensor, nn

from models.blocks.attention import SelfAttention
from models.blocks.spectral import SpectralEveryForward


def _spectral(conv: nn.Module, on: bool) -> nn.Module:
    return SpectralEveryForward(conv, 'weight_matrices') if on else conv


class AttentionGenerator(nn.Module):
    """Encoder and decoder with a vector as bottleneck and without skip connections: (B,3,64,64) -> (B,3,64,64) in [-1,1].

    Args:
        width: channels of the first layer.
        latent: length of the vector.
        attention: self-attention at 16x16 and 32x32.
        spectral: spectral normalization of the decoder's convolutions except the last.
    """

    def __init__(self, width: int = 64, latent: int = 100, *, attention: bool = True, spectral: bool = True):
        super().__init__()
        widths = [width, 2 * width, 4 * width, 8 * width]
        layers: list[nn.Module] = []
        for inner, out in zip([3, *widths], widths):
            layers += [nn.Conv2d(inner, out, 4, 2, 1), nn.InstanceNorm2d(out), nn.ReLU()]
        self.up_sample = nn.Sequential(*layers, nn.Conv2d(widths[-1], latent, 4), nn.ReLU())  # the encoder; a published name

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
    """(B,3,64,64) -> (B,) logits.

    Args:
        width: channels of the first layer.
        attention: self-attention at 8x8 and 4x4.
        spectral: spectral normalization of all convolutions except the last.
    """

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
        x = self.attn1(self.l3(self.l2(self.l1(x))))  # (B,4*width,8,8)
        return self.last(self.attn2(self.l4(x))).flatten()
