"""Patch discriminator (Isola et al. 2017, arXiv:1611.07004)."""
from torch import Tensor, nn

from models.blocks.antialias import BlurDown
from models.blocks.spectral import spectral as spectral_norm


def check_patches(size: int, layers: int) -> None:
    """Check that a discriminator of so many layers has an output for images of this side.

    Raises:
        ValueError: the image is too small.
    """
    if size < 3 * 2 ** layers:
        raise ValueError(
            f'size {size} is too small for {layers} halvings of the patch discriminator: use fewer discriminator_layers, or '
            f'a size from {3 * 2**layers} on'
        )


class PatchDiscriminator(nn.Module):
    """Patch discriminator of pix2pix and CycleGAN (section 6.1.2): (B,inputs,H,W) -> (B,1,h,w) logits.

    The state dict has the published names `model.N...`.

    Args:
        inputs: channels of the image.
        width: channels of the first layer; they double per layer up to 8 times as many.
        layers: halvings, before two convolutions of stride 1; 3 of them have a receptive field of 70x70 pixels.
        norm: 'instance', 'batch' or 'none'.
        antialias: halve by BlurDown, as CUT does, instead of by strided convolutions.
        spectral: spectral normalization of every convolution.
    """

    def __init__(self, inputs: int = 3, width: int = 64, layers: int = 3, *, norm: str = 'instance', antialias: bool = False,
                 spectral: bool = False):
        super().__init__()
        norm_layer = {'instance': nn.InstanceNorm2d, 'batch': nn.BatchNorm2d, 'none': nn.Identity}[norm]

        def conv(width: int, out: int, stride: int, bias: bool = True) -> nn.Module:
            return spectral_norm(nn.Conv2d(width, out, 4, stride, 1, bias=bias), spectral)

        stride = 1 if antialias else 2
        model: list[nn.Module] = [conv(inputs, width, stride), nn.LeakyReLU(0.2)]
        model += [BlurDown(width)] if antialias else []
        for level in range(1, layers + 1):
            inner, last = min(2 ** (level - 1), 8) * width, level == layers
            out = min(2 ** level, 8) * width
            model += [conv(inner, out, 1 if last else stride, bias=norm != 'batch'), norm_layer(out), nn.LeakyReLU(0.2)]
            model += [BlurDown(out)] if antialias and not last else []
        self.model = nn.Sequential(*model, conv(out, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)
