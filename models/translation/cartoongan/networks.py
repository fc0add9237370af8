"""Generator and discriminator of CartoonGAN (Chen et al. 2018, section 3.1)."""
from torch import nn

from models.blocks.resnet import PaddedResidual


def cartoon_generator(width: int, blocks: int, norm: type[nn.Module]) -> nn.Sequential:
    """ResNet generator with an additional convolution after each change of size: (B,3,H,W) -> (B,3,H,W) in [-1,1].

    Args:
        width: channels of the first layer.
        blocks: residual blocks at a quarter of the size.
        norm: norm of the stages before and after the residual blocks.
    """
    layers: list[nn.Module] = [nn.Conv2d(3, width, 7, 1, 3), norm(width), nn.ReLU()]
    for inner, out in ((width, 2 * width), (2 * width, 4 * width)):
        layers += [nn.Conv2d(inner, out, 3, 2, 1), nn.Conv2d(out, out, 3, 1, 1), norm(out), nn.ReLU()]
    layers += [PaddedResidual(4 * width) for _ in range(blocks)]
    for inner, out in ((4 * width, 2 * width), (2 * width, width)):
        layers += [nn.ConvTranspose2d(inner, out, 3, 2, 1, 1), nn.Conv2d(out, out, 3, 1, 1), norm(out), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(width, 3, 7, 1, 3), nn.Tanh())


def cartoon_discriminator(width: int, norm: type[nn.Module]) -> nn.Sequential:
    """Patch discriminator: (B,3,H,W) -> (B,1,H/4,W/4) logits.

    Args:
        width: channels of the first layer.
        norm: norm of the stages.
    """
    def activation() -> nn.Module:
        return nn.LeakyReLU(0.2)

    layers: list[nn.Module] = [nn.Conv2d(3, width, 3, 1, 1), activation()]
    inner = width
    for middle, out in ((2 * width, 4 * width), (4 * width, 8 * width)):
        layers += [nn.Conv2d(inner, middle, 3, 2, 1), activation(),
                   nn.Conv2d(middle, out, 3, 1, 1), norm(out), activation()]
        inner = out
    return nn.Sequential(*layers, nn.Conv2d(inner, inner, 3, 1, 1), norm(inner), activation(), nn.Conv2d(inner, 1, 3, 1, 1))
