"""The small face parser in training, on labels of all parts and on coarse ones at once."""
from pathlib import Path

import torch
import torch.nn.functional as F
from pydantic import Field
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import Parameter

from models.base import Family, FamilyConfig, Perception
from models.batch import COARSE, IGNORED, PARTS, ParsingBatch
from models.convert import read_state
from models.perception.parsers.parser import FaceParser, ParsingUNet

COARSE_MEMBERS = tuple(tuple(PARTS.index(name) for name in names) for names in COARSE.values())
_COLORS = torch.rand(IGNORED + 1, 3, generator=torch.Generator().manual_seed(3)) * 2 - 1


class ParserTrainingConfig(FamilyConfig):
    """size: side of the images, a multiple of 16. weights: labels (cross entropy) and coarse (marginalised cross entropy).
    occluded: share of the training images with a rendered object in front of the face (datasets.synthetic.occluders). init: the
    weights that training starts from, a name of PARSERS with this network or a parser.safetensors of a run."""

    size: int = Field(128, ge=32, multiple_of=16)
    occluded: float = Field(0.0, ge=0, le=1)
    init: str | None = None
    weights: dict[str, float] = {'labels': 1.0, 'coarse': 0.5}


class ParserTraining(Family):
    """Trains models.perception.parsers.parser.ParsingUNet on ParsingBatches."""

    def __init__(self, config: ParserTrainingConfig, perception: Perception | None = None):
        super().__init__(config, perception)
        self.network = ParsingUNet()

    def param_groups(self) -> dict[str, list[Parameter]]:
        return {'parser': list(self.parameters())}

    def ema_modules(self) -> dict[str, nn.Module]:
        return {'network': self.network}

    def forward(self, group: str, batch: ParsingBatch, step: int, cache: dict) -> dict[str, Tensor]:
        logits = self.network(batch.images).float()
        losses = {}
        if self.is_active('labels'):
            losses['labels'] = marginal_cross_entropy(logits, batch.labels)
        if self.is_active('coarse'):
            losses['coarse'] = marginal_cross_entropy(logits, batch.coarse, COARSE_MEMBERS)
        return losses

    def panel(self, batch: ParsingBatch) -> dict[str, Tensor]:
        images = batch.images[:8]
        labels = torch.where(batch.labels[:8] == IGNORED, batch.coarse[:8], batch.labels[:8])
        return {'face': images, 'labels': colored(labels), 'parser': colored(self.network(images).argmax(1))}


def marginals(logits: Tensor, members: tuple[tuple[int, ...], ...]) -> Tensor:
    """(B,C,H,W) logits -> (B,len(members),H,W) log probability that a pixel is one of each row of classes; rows may overlap."""
    log_p = logits.log_softmax(1)
    return torch.stack([log_p[:, list(row)].logsumexp(1) for row in members], 1)


def marginal_cross_entropy(logits: Tensor, labels: Tensor, members: tuple[tuple[int, ...], ...] | None = None) -> Tensor:
    """Mean over known pixels of -log of the probability of all classes that the label allows; 0 where nothing is known.

    logits (B,C,H,W); labels (B,H,W) int64 or IGNORED; members: the classes that each label allows, itself where None.
    """
    log_p = logits.log_softmax(1) if members is None else marginals(logits, members)
    total = F.nll_loss(log_p, labels, ignore_index=IGNORED, reduction='sum')
    return total / (labels != IGNORED).sum().clamp_min(1)


def coarse_labels(logits: Tensor) -> Tensor:
    """(B,19,H,W) -> (B,H,W) int64, the likeliest of COARSE."""
    return marginals(logits, COARSE_MEMBERS).argmax(1)


def colored(labels: Tensor) -> Tensor:
    """(B,H,W) ids -> (B,3,H,W) in [-1,1], a color for each."""
    return _COLORS.to(labels.device)[labels].permute(0, 3, 1, 2)


def parser_bytes(training: ParserTraining) -> bytes:
    """The network as a safetensors file of half precision, as the zoo has it."""
    state = {name: value.detach().cpu().contiguous() for name, value in training.network.state_dict().items()}
    return save({name: value.half() if value.is_floating_point() else value for name, value in state.items()},
                {'format': 'pt', 'network': 'parsing-unet'})


def load_network(path: str | Path) -> ParsingUNet:
    """The network of a file of parser_bytes. models.weights.WeightsError where the file cannot be read, ValueError where it holds
    another network."""
    network, state = ParsingUNet(), read_state(Path(path))
    try:
        network.load_state_dict({name: value.float() if value.is_floating_point() else value for name, value in state.items()})
    except RuntimeError as error:
        raise ValueError(f'{path} does not hold the small parser; give a parser.safetensors of a run') from error
    return network


def load_trained(path: str | Path, size: int = 128) -> FaceParser:
    """A frozen parser from a file of parser_bytes; errors as for load_network."""
    return FaceParser(load_network(path), size=size)
