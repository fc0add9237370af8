"""Five landmarks of an aligned face, differentiable in the image."""
import torch
from torch import Tensor, nn

from models import geometry
from models.geometry import Template
from models.perception.detection.mtcnn_networks import ONet, mtcnn_network
from models.precision import full_precision

BOX = Template(48, 48, tuple((48 / 112 * (x - 33), 48 / 112 * (y - 63)) for x, y in geometry.TEMPLATES['celeba'].points))


class FiveLandmarks(nn.Module):
    """The output network of MTCNN (Zhang et al. 2016, section 2.2) with the weights of the package facenet-pytorch, frozen:
    (B,3,H,W) in [-1,1] in the template `face` -> (B,5,2), in eye distances of that template."""

    def __init__(self) -> None:
        super().__init__()
        self.network = mtcnn_network(ONet)
        self.eval()

    def train(self, mode: bool = True) -> 'FiveLandmarks':
        """Stay in eval mode."""
        return super().train(False)

    @full_precision
    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        matrix = geometry.between(geometry.template('face').scaled(width, height), BOX)
        x, y = self.network(geometry.warp(images, matrix, (48, 48)))[1].chunk(2, 1)  # (B,5) each, in [0,1] of the box
        return torch.stack([x, y], 2) * 48 / (BOX.points[1][0] - BOX.points[0][0])
