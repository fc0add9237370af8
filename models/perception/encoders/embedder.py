"""A face recognition network with its preprocessing: alignment, size, channel order, normalization."""
import torch
from torch import Tensor, nn

from models import geometry
from models.base import EmbeddingNetwork
from models.perception.encoders.network import FeatureNetwork
from models.precision import full_precision, normalized
from models.runtime.fusion import fused


class Embedder(EmbeddingNetwork):
    """Images (B,3,H,W) in [-1,1] -> identity embeddings (B,D) of unit length. Frozen, in eval mode, differentiable in the images.

    Args:
        network: (B,3,h,w) -> (B,D); copied.
        template: alignment of the network's training images, of size (h,w); a template or its name.
        scale: factor of [-1,1] (models.images.SCALE_128 for networks trained on (x - 127.5) / 128).
        bgr: whether the channel order is BGR.
        mirrored: whether the embedding is the normalized sum of those of the image and its mirror image.
    """

    def __init__(self, network: nn.Module, template: str | geometry.Template, *, scale: float = 1.0, bgr: bool = False,
                 mirrored: bool = False):
        super().__init__()
        self.network = fused(network)
        self.template = geometry.template(template) if isinstance(template, str) else template
        self.scale, self.bgr, self.mirrored = scale, bgr, mirrored
        self.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> 'Embedder':
        """Stay in eval mode."""
        return super().train(False)

    @full_precision
    def aligned(self, images: Tensor, *, points: Tensor | None = None, template: str = 'face', jitter: float = 0.0) -> Tensor:
        """Images (B,3,H,W) in [-1,1] -> input of the network (B,3,h,w).

        points: landmarks (B,5,2) in pixels, by which each image is aligned; without them the images are aligned to `template`.
        jitter: maximum of a random translation in heights of the crop, rotation in radians and relative scaling of each crop.
        """
        aligned_to = self.template
        if points is None:
            height, width = images.shape[-2:]
            matrix = geometry.between(geometry.template(template).scaled(width, height), aligned_to)
        else:
            matrix = geometry.align(points, aligned_to)
        if jitter:
            matrix = geometry.compose(_jittered(aligned_to, len(images), jitter).to(images.device), matrix.to(images.device))
        crop = geometry.warp(images, matrix, (aligned_to.height, aligned_to.width)) * self.scale
        # The network is several times slower in the memory format of a generator's output.
        return (crop.flip(1) if self.bgr else crop).contiguous(memory_format=torch.channels_last)

    def forward(self, images: Tensor, *, points: Tensor | None = None, template: str = 'face') -> Tensor:
        """Images (B,3,H,W) in [-1,1] -> embeddings (B,D) of unit length; arguments are those of `aligned`."""
        crop = self.aligned(images, points=points, template=template)
        embedding = normalized(self.network(crop))
        if self.mirrored:
            embedding = normalized(embedding + normalized(self.network(crop.flip(3))))
        return embedding

    def maps(self, images: Tensor, count: int, *, template: str = 'face') -> list[Tensor]:
        """The `count` finest feature maps (B,C,.,.), for perceptual losses. Raises ValueError for a network without feature
        maps."""
        return self._feature_network().features(self.aligned(images, template=template), count)

    def embedding_and_maps(self, images: Tensor, count: int, *, template: str = 'face',
                          jitter: float = 0.0) -> tuple[Tensor, list[Tensor]]:
        """Results of `forward`, without mirroring, and `maps` in one pass; jitter as for `aligned`, ValueError as for `maps`."""
        network = self._feature_network()
        maps = network.features(self.aligned(images, template=template, jitter=jitter))
        return normalized(network.head(maps[-1])), maps[:count]

    def _feature_network(self) -> FeatureNetwork:
        if not isinstance(self.network, FeatureNetwork):
            raise ValueError(f'{type(self.network).__name__} has no feature maps; use a MobileFaceNet such as '
                             'identity-mobilefacenet, or set the weights of perceptual losses to 0')
        return self.network


def _jittered(frame: geometry.Template, count: int, jitter: float) -> Tensor:
    """Random similarities (count,2,3) about the center of the frame."""
    angle, scale, x, y = jitter * (2 * torch.rand(4, count) - 1)
    cos, sin = (1 + scale) * angle.cos(), (1 + scale) * angle.sin()
    linear = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)  # (count,2,2)
    center = torch.tensor([frame.width / 2, frame.height / 2])
    shift = center + frame.height * torch.stack([x, y], 1) - linear @ center
    return torch.cat([linear, shift[..., None]], 2)
