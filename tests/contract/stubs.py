"""Small frozen networks with random weights in place of the perception's, so that contract tests need no weight files."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.base import Family, FamilyConfig, Perception
from models.batch import PARTS
from models.perception.encoders.embedder import Embedder
from models.perception.parsers.parser import FaceParser

ID_DIM = 8  # width of the identity embedding


class TinyEmbedder(nn.Module):
    """Network of an Embedder: (B,3,H,W) -> (B,ID_DIM), with two feature maps."""

    def __init__(self):
        super().__init__()
        self.maps = nn.ModuleList([nn.Conv2d(3, 8, 5, 4, 2), nn.Conv2d(8, 8, 5, 4, 2)])
        self.last = nn.Linear(8 * 49, ID_DIM)

    def features(self, images: Tensor, count: int = 2) -> list[Tensor]:
        first = torch.tanh(self.maps[0](images))
        return [first, torch.tanh(self.maps[1](first))][:count]

    def head(self, x: Tensor) -> Tensor:
        return self.last(F.adaptive_avg_pool2d(x, 7).flatten(1))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images)[-1])


class TinyParser(nn.Conv2d):
    """Network of a FaceParser: (B,3,H,W) -> (B,19,H,W) logits."""

    def __init__(self):
        super().__init__(3, len(PARTS), 5, padding=2)


class TinyVGG(nn.Conv2d):
    """The same feature map for every layer name."""

    def __init__(self):
        super().__init__(3, 4, 3, 2, 1)
        self.requires_grad_(False)

    def forward(self, images: Tensor, layers: tuple[str, ...]) -> dict[str, Tensor]:
        return dict.fromkeys(layers, torch.tanh(super().forward(images)))


class TinyLandmarks(nn.Conv2d):
    """(B,3,H,W) -> (B,5,2)."""

    def __init__(self):
        super().__init__(3, 10, 5)
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        return torch.tanh(super().forward(images)).mean((2, 3)).view(-1, 5, 2)


class TinyDistillationTeacher(Family):
    """A swap family of the given image size that returns the mean of source and target."""

    def __init__(self, size: int):
        super().__init__(FamilyConfig(size=size), None)

    def generate(self, batch, *, generator=None) -> Tensor:
        return (batch.source + batch.target) / 2


def tiny_perception(*, teacher_size: int | None = None) -> Perception:
    """A perception of the networks above. teacher_size: image size of its distillation teacher, None for no such teacher."""
    torch.manual_seed(1)
    return Perception(*(Embedder(TinyEmbedder(), 'arcface') for _ in range(2)), FaceParser(TinyParser(), size=16), TinyVGG(),
                      TinyLandmarks(), teacher_size and TinyDistillationTeacher(teacher_size))
