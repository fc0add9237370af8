"""Training of the small face parser on labels of all parts and on coarse labels."""
from pathlib import Path

import torch
import torch.nn.functional as F
from pydantic import Field
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import Parameter

from models.base import Family, FamilyConfig, Perception
from models.batch import COARSE, IGNORED, PARTS, ParsingBatch
from models.conversion.convert import read_state
from models.perception.parsers.parser import FaceParser, ParsingUNet

COARSE_MEMBERS = tuple(tuple(PARTS.index(name) for name in names) for names in COARSE.values())
# (256,3) in [-1,1]: a random color of each id.
_COLORS = torch.rand(IGNORED + 1, 3, generator=torch.Generator().manual_seed(3)) * 2 - 1


class ParserTrainingConfig(FamilyConfig):
    """Config of ParserTraining. The losses of `weights` are labels (cross entropy) and coarse (marginalized cross entropy)."""

    size: int = Field(128, ge=32, multiple_of=16, description='side of the images in pixels')
    occluded: float = Field(0.0, ge=0, le=1, description='fraction of the training images with a rendered object in front of the '
                                                         'face (datasets.synthetic.occluders)')
    init: str | None = Field(None, description='initial weights: a name of PARSERS with this network, or a parser.safetensors '
                                               'of a run; None for random')
    weights: dict[str, float] = {'labels': 1.0, 'coarse': 0.5}


class ParserTraining(Family):
    """Trains models.perception.parsers.parser.ParsingUNet on ParsingBatches."""

    task = 'parsing'
    batch = ParsingBatch
    config: ParserTrainingConfig

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
    """Log probability of sets of classes: logits (B,C,H,W) -> (B,len(members),H,W); the sets may overlap."""
    log_p = logits.log_softmax(1)
    return torch.stack([log_p[:, list(row)].logsumexp(1) for row in members], 1)


def marginal_cross_entropy(logits: Tensor, labels: Tensor, members: tuple[tuple[int, ...], ...] | None = None) -> Tensor:
    """Mean over labeled pixels of -log of the summed probability of the label's classes; 0 without labeled pixels.

    logits: (B,C,H,W). labels: (B,H,W) int64, or IGNORED. members: classes of each label, the label itself if None.
    """
    log_p = logits.log_softmax(1) if members is None else marginals(logits, members)
    total = F.nll_loss(log_p, labels, ignore_index=IGNORED, reduction='sum')
    return total / (labels != IGNORED).sum().clamp_min(1)


def coarse_labels(logits: Tensor) -> Tensor:
    """Logits (B,19,H,W) -> the most probable coarse label (B,H,W) int64, an index of COARSE."""
    return marginals(logits, COARSE_MEMBERS).argmax(1)


def colored(labels: Tensor) -> Tensor:
    """Colors (B,3,H,W) in [-1,1] of ids (B,H,W)."""
    return _COLORS.to(labels.device)[labels].permute(0, 3, 1, 2)


def parser_bytes(training: ParserTraining) -> bytes:
    """The network as safetensors in half precision."""
    state = {name: value.detach().cpu().contiguous() for name, value in training.network.state_dict().items()}
    return save({name: value.half() if value.is_floating_point() else value for name, value in state.items()},
                {'format': 'pt', 'network': 'parsing-unet'})


def load_network(path: str | Path) -> ParsingUNet:
    """Load the network of a file of parser_bytes. Raises models.weights.WeightsError if the file cannot be read, ValueError if
    it holds another network."""
    network, state = ParsingUNet(), read_state(Path(path))
    try:
        network.load_state_dict({name: value.float() if value.is_floating_point() else value for name, value in state.items()})
    except RuntimeError as error:
        raise ValueError(f'{path} does not hold a ParsingUNet; give a parser.safetensors of a run') from error
    return network


def load_trained(path: str | Path, size: int = 128) -> FaceParser:
    """A frozen parser from a file of parser_bytes. Raises the errors of load_network."""
    return FaceParser(load_network(path), size=size)
