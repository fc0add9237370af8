"""Networks of XGAN (Royer et al. 2018, arXiv:1711.05139, appendix)."""
from torch import nn

from models.translation.convolution_stacks import downsampling_layers, upsampling_layers


def affine_instance_norm(width: int) -> nn.InstanceNorm2d:
    """Instance norm with learned scale and shift."""
    return nn.InstanceNorm2d(width, affine=True)


def domain_encoder(widths: list[int]) -> nn.Sequential:
    """First layers of the encoder of one domain: (B,3,S,S) -> (B,widths[-1],S/2^n,S/2^n), n = len(widths)."""
    return downsampling_layers([3, *widths], affine_instance_norm, nn.ReLU())


def shared_encoder(width: int, middle: int, out: int, embedding: int) -> nn.Sequential:
    """Last layers of both encoders: (B,width,16,16) -> (B,embedding).

    Args:
        middle, out: channels at 8x8 and at 4x4.
    """
    convolutions = [layer for inner, outer in ((width, middle), (middle, out))
                    for layer in (nn.Conv2d(inner, outer, 4, 2, 1), affine_instance_norm(outer), nn.ReLU())]
    return nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(16 * out, embedding), nn.ReLU(), nn.Linear(embedding, embedding))


def shared_decoder(embedding: int, width: int) -> nn.Sequential:
    """First layers of both decoders: (B,embedding) -> (B,width,8,8)."""
    return nn.Sequential(nn.Unflatten(1, (embedding, 1, 1)), nn.ConvTranspose2d(embedding, 2 * width, 4),
                         affine_instance_norm(2 * width), nn.ReLU(),
                         *upsampling_layers([2 * width, width], affine_instance_norm))


def domain_decoder(widths: list[int]) -> nn.Sequential:
    """Last layers of the decoder of one domain: (B,widths[0],8,8) -> (B,3,8*2^n,8*2^n) in [-1,1], n = len(widths)."""
    return nn.Sequential(*upsampling_layers(widths, affine_instance_norm), nn.ConvTranspose2d(widths[-1], 3, 4, 2, 1), nn.Tanh())


def image_discriminator(width: int, halvings: int) -> nn.Sequential:
    """(B,3,S,S) -> (B,1) logits, S = 4 * 2^halvings."""
    widths = [3, width, *[2 * width] * (halvings - 1)]
    return nn.Sequential(*downsampling_layers(widths, nn.InstanceNorm2d, nn.LeakyReLU(0.2)), nn.Flatten(),
                         nn.Linear(32 * width, 1))
