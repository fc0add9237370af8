"""SphereFace (Liu et al. 2017, arXiv:1704.08063): the 20-layer network, the angular layer and its annealed loss.

Names and values equal to clcarwin/sphereface_pytorch.
"""
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn import Parameter

from models.perception.encoders.network import EncoderNetwork
from models.precision import full_precision

# width and residual pairs of each of the four groups
_GROUPS = ((64, 1), (128, 2), (256, 4), (512, 1))


class AngleLinear(nn.Module):
    """The angular layer: (B,features) -> (|x| cos t, |x| psi(t)), each (B,classes), psi with margin m = 4 (equation 8).

    psi(t) = (-1)^k cos(4t) - 2k with k = floor(4t/pi), monotonically decreasing on [0,pi].
    """

    def __init__(self, features: int, classes: int):
        super().__init__()
        self.weight = Parameter(F.normalize(torch.empty(features, classes).uniform_(-1, 1), dim=0))

    @full_precision
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        length = x.norm(dim=1, keepdim=True)
        cosine = (F.normalize(x) @ F.normalize(self.weight, dim=0)).clamp(-1, 1)  # (B,classes)
        cosine_4 = 8 * cosine**4 - 8 * cosine**2 + 1
        k = (4 * cosine.detach().acos() / 3.14159265).floor()
        psi = (1 - 2 * (k % 2)) * cosine_4 - 2 * k
        return length * cosine, length * psi


def annealing(iteration: int) -> float:
    """lambda of the annealed loss, the weight of the cosine without margin; iterations count from 1."""
    return max(5.0, 1500 / (1 + 0.1 * iteration))


def angle_loss(cosine: Tensor, psi: Tensor, label: Tensor, iteration: int, gamma: float = 0.0) -> Tensor:
    """Softmax loss whose target logit is (lambda cos + psi) / (1 + lambda); scalar.

    cosine, psi: (B,classes) of AngleLinear; label: (B,) int64. gamma > 0 weights each sample by (1 - p)^gamma, without
    gradient through p (the focal factor).
    """
    target = F.one_hot(label, cosine.shape[1]).bool()
    blended = cosine + (psi - cosine) / (1 + annealing(iteration))
    log_p = torch.where(target, blended, cosine).log_softmax(1)[target]  # (B,)
    return -((1 - log_p.detach().exp()) ** gamma * log_p).mean()


class SphereFace20(EncoderNetwork):
    """(B,3,112,96) BGR in [-1,1] -> (B,embedding), not normalized. classes: width of the angular layer `fc6`, None for no such
    layer."""

    last_stage = ('conv4', 'relu4', 'fc')  # prefixes of its parameters

    def __init__(self, classes: int | None = 10574, embedding: int = 512):
        super().__init__()
        width = 3
        for group, (out, pairs) in enumerate(_GROUPS, 1):
            for index in range(1, 2 * pairs + 2):
                self.add_module(f'conv{group}_{index}', nn.Conv2d(width, out, 3, 2 if index == 1 else 1, 1))
                self.add_module(f'relu{group}_{index}', nn.PReLU(out))
                width = out
        self.fc5 = nn.Linear(512 * 7 * 6, embedding)
        if classes is not None:
            self.fc6 = AngleLinear(embedding, classes)

    def _unit(self, name: str, x: Tensor) -> Tensor:
        return getattr(self, f'relu{name}')(getattr(self, f'conv{name}')(x))

    def features(self, x: Tensor) -> list[Tensor]:
        """Maps at 1/2, 1/4, 1/8 and 1/16 of the input, for perceptual losses."""
        maps = []
        for group, (_, pairs) in enumerate(_GROUPS, 1):
            x = self._unit(f'{group}_1', x)
            for pair in range(pairs):
                x = x + self._unit(f'{group}_{2 * pair + 3}', self._unit(f'{group}_{2 * pair + 2}', x))
            maps.append(x)
        return maps

    def forward(self, x: Tensor) -> Tensor:
        return self.fc5(self.features(x)[-1].flatten(1))  # (B,embedding)
