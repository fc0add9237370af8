"""ResNet generator of Johnson et al. 2016 (arXiv:1603.08155): strided convolutions, residual blocks, transposed convolutions."""
from torch import Tensor, nn

from models.blocks.antialias import BlurDown, BlurUp


class PaddedResidual(nn.Module):
    """Residual block of two reflect-padded 3x3 convolutions with instance norms: (B,C,H,W) -> (B,C,H,W).

    Args:
        width: C.
        bias: biases of the convolutions.
        affine: learned scale and shift in the norms.
        dropout: probability of dropout between the convolutions.
        after: module at the end of the residual branch.
    """

    def __init__(self, width: int, *, bias: bool = True, affine: bool = False, dropout: float = 0.0,
                 after: nn.Module | None = None):
        super().__init__()
        halves = [[nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3, bias=bias), nn.InstanceNorm2d(width, affine=affine)]
                  for _ in range(2)]
        between = [nn.ReLU(), *([nn.Dropout(dropout)] if dropout else [])]
        self.conv_block = nn.Sequential(*halves[0], *between, *halves[1], *([after] if after is not None else []))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


def resnet(inputs: int, outputs: int, width: int, downs: int = 2, blocks: int = 9, *, dropout: float = 0.0,
           antialias: bool = False) -> nn.Sequential:
    """Generator of CycleGAN and, with more halvings, global generator of pix2pixHD: (B,inputs,H,W) -> (B,outputs,H,W) in [-1,1].

    Args:
        width: channels of the first layer; they double with each halving.
        downs: halvings; H and W are multiples of 2^downs.
        blocks: residual blocks at the lowest resolution.
        dropout: probability of dropout in the residual blocks.
        antialias: resample by BlurDown and BlurUp, as CUT does, instead of by strided and transposed convolutions.
    """
    layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(inputs, width, 7), nn.InstanceNorm2d(width), nn.ReLU()]
    for _ in range(downs):
        layers += [nn.Conv2d(width, 2 * width, 3, 1 if antialias else 2, 1), nn.InstanceNorm2d(2 * width), nn.ReLU()]
        width *= 2
        if antialias:
            layers.append(BlurDown(width))
    layers += [PaddedResidual(width, dropout=dropout) for _ in range(blocks)]
    for _ in range(downs):
        if antialias:
            layers += [BlurUp(width), nn.Conv2d(width, width // 2, 3, 1, 1)]
        else:
            layers.append(nn.ConvTranspose2d(width, width // 2, 3, 2, 1, 1))
        width //= 2
        layers += [nn.InstanceNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, outputs, 7), nn.Tanh())
