"""A discriminator that judges patches."""
from torch import Tensor, nn

from models.blocks.antialias import BlurDown
from models.blocks.spectral import spectral as spectral_norm


def check_patches(size: int, layers: int) -> None:
    """ValueError where an image of this side has no patch for a discriminator of so many layers."""
    if size < 3 * 2 ** layers:
        raise ValueError(
            f'size {size} leaves nothing after {layers} halvings of the patch discriminator: take fewer discriminator_layers, or '
            f'a size from {3 * 2**layers} on'
        )


class PatchDiscriminator(nn.Module):
    """Patch discriminator of pix2pix and CycleGAN (Isola et al. 2017, section 6.1.2): (B,inputs,H,W) -> (B,1,h,w) logits.

    layers: halvings, before one more convolution and the last one; 3 of them see patches of 70x70. norm: instance, batch or none.
    antialias: halve with a blur, as CUT does. spectral: spectral norm in every convolution. Keys are the published `model.N...`.
    """

    def __init__(self, inputs: int = 3, width: int = 64, layers: int = 3, *, norm: str = 'instance', antialias: bool = False,
                 spectral: bool = False):
        super().__init__()
        kind = {'instance': nn.InstanceNorm2d, 'batch': nn.BatchNorm2d, 'none': nn.Identity}[norm]

        def conv(width: int, out: int, stride: int, bias: bool = True) -> nn.Module:
            return spectral_norm(nn.Conv2d(width, out, 4, stride, 1, bias=bias), spectral)

        stride = 1 if antialias else 2
        model: list[nn.Module] = [conv(inputs, width, stride), nn.LeakyReLU(0.2)]
        model += [BlurDown(width)] if antialias else []
        for level in range(1, layers + 1):
            inner, last = min(2 ** (level - 1), 8) * width, level == layers
            out = min(2 ** level, 8) * width
            model += [conv(inner, out, 1 if last else stride, bias=norm != 'batch'), kind(out), nn.LeakyReLU(0.2)]
            model += [BlurDown(out)] if antialias and not last else []
        self.model = nn.Sequential(*model, conv(out, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)
