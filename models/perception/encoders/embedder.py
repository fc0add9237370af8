"""A face recognition network with everything it wants to be fed: alignment, size, channel order, normalization."""
import torch
from torch import Tensor, nn

from models import geometry
from models.precision import full_precision, normalized
from models.runtime.fusion import fused


class Embedder(nn.Module):
    """Images in [-1,1] -> identities of unit length. Frozen, in eval mode; gradients flow through it to the images.

    network: (B,3,h,w) -> (B,D), copied; template: the alignment that it was trained on, whose size is (h,w); scale: what [-1,1]
    is multiplied by (127.5/128 for networks trained on (x - 127.5) / 128); bgr: blue first; mirrored: an identity is the mean of
    those of the image and of its mirror image.
    """

    def __init__(self, network: nn.Module, template: str, *, scale: float = 1.0, bgr: bool = False,
                 mirrored: bool = False):
        super().__init__()
        self.network = fused(network)
        self.template = geometry.template(template)
        self.scale, self.bgr, self.mirrored = scale, bgr, mirrored
        self.eval().requires_grad_(False)

    def train(self, mode: bool = True):
        """Stays in eval mode: it is frozen."""
        return super().train(False)

    @full_precision
    def aligned(self, images: Tensor, *, points: Tensor | None = None, template: str = 'face', jitter: float = 0.0) -> Tensor:
        """(B,3,H,W) in [-1,1] -> (B,3,h,w) as the network wants it. points (B,5,2), in pixels of the images, align each
        image by itself; without them the images are taken to lie in `template`. jitter: each crop is shifted by up to this
        share of its height, turned by up to so many radians and scaled by up to this share, at random."""
        own = self.template
        if points is None:
            height, width = images.shape[-2:]
            matrix = geometry.between(geometry.template(template).scaled(width, height), own)
        else:
            matrix = geometry.align(points, own)
        if jitter:
            matrix = geometry.compose(_jittered(own, len(images), jitter).to(images.device), matrix.to(images.device))
        crop = geometry.warp(images, matrix, (own.height, own.width)) * self.scale
        # Without this a generator's image arrives in another memory format, in which the network is several times slower.
        return (crop.flip(1) if self.bgr else crop).contiguous(memory_format=torch.channels_last)

    def forward(self, images: Tensor, *, points: Tensor | None = None, template: str = 'face') -> Tensor:
        """(B,3,H,W) in [-1,1] -> (B,D), unit length."""
        crop = self.aligned(images, points=points, template=template)
        identity = normalized(self.network(crop))
        if self.mirrored:
            identity = normalized(identity + normalized(self.network(crop.flip(3))))
        return identity

    def maps(self, images: Tensor, count: int, *, template: str = 'face') -> list[Tensor]:
        """The `count` finest inner maps (B,C,.,.), for perceptual losses; ValueError for a network that shows none."""
        self._check_maps()
        return self.network.features(self.aligned(images, template=template), count)

    def embedding_and_maps(self, images: Tensor, count: int, *, template: str = 'face',
                          jitter: float = 0.0) -> tuple[Tensor, list[Tensor]]:
        """What forward and maps return, in one pass; jitter as for aligned, ValueError as for maps."""
        self._check_maps()
        maps = self.network.features(self.aligned(images, template=template, jitter=jitter))
        return normalized(self.network.head(maps[-1])), maps[:count]

    def _check_maps(self) -> None:
        if not hasattr(self.network, 'head'):  # behind `features`, which other networks may have as well
            raise ValueError(f'{type(self.network).__name__} shows no inner maps; take a MobileFaceNet such as '
                             'identity-mobilefacenet, or set the weights of perceptual losses to 0')


def _jittered(frame: geometry.Template, count: int, jitter: float) -> Tensor:
    """(count,2,3): small similarities about the middle of the frame."""
    turn, scale, x, y = jitter * (2 * torch.rand(4, count) - 1)
    cos, sin = (1 + scale) * turn.cos(), (1 + scale) * turn.sin()
    linear = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)  # (count,2,2)
    middle = torch.tensor([frame.width / 2, frame.height / 2])
    shift = middle + frame.height * torch.stack([x, y], 1) - linear @ middle
    return torch.cat([linear, shift[..., None]], 2)
