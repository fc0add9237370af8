"""Networks of the domain transfer network (Taigman et al. 2017, arXiv:1611.02200, section 5)."""
from torch import nn

from models.translation.convolution_stacks import downsampling_layers, upsampling_layers


def vector_encoder(widths: list[int], features: int) -> nn.Sequential:
    """(B,3,S,S) -> (B,features), S = 4 * 2^len(widths)."""
    body = downsampling_layers([3, *widths], nn.InstanceNorm2d, nn.ReLU())
    return nn.Sequential(*body, nn.Conv2d(widths[-1], features, 4), nn.Flatten())


def vector_decoder(widths: list[int], features: int) -> nn.Sequential:
    """(B,features) -> (B,3,S,S) in [-1,1], S = 4 * 2^len(widths)."""
    first = [nn.Unflatten(1, (features, 1, 1)), nn.ConvTranspose2d(features, widths[-1], 4),
             nn.BatchNorm2d(widths[-1]), nn.ReLU()]
    body = upsampling_layers(widths[::-1], nn.BatchNorm2d, pointwise=True)
    return nn.Sequential(*first, *body, nn.ConvTranspose2d(widths[0], 3, 4, 2, 1), nn.Tanh())


def image_discriminator(widths: list[int], outputs: int) -> nn.Sequential:
    """(B,3,S,S) -> (B,outputs) logits, S = 4 * 2^len(widths)."""
    body = downsampling_layers([3, *widths], nn.InstanceNorm2d, nn.LeakyReLU(0.2))
    return nn.Sequential(*body, nn.Conv2d(widths[-1], outputs, 4), nn.Flatten())
