"""Regression of the renderer's parameters from a rendered face, which measures swaps in these parameters."""
from pathlib import Path

import torch.nn.functional as F
from pydantic import Field
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import Parameter

from models.base import Family, FamilyConfig, Perception
from models.batch import CauseBatch
from models.conversion.convert import read_state


def _unit(width: int, out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(width, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.SiLU())


class CauseNet(nn.Module):
    """(B,3,H,W) in [-1,1] aligned to `face`, resized to 64 pixels -> parameters (B,causes), about [-1,1]."""

    def __init__(self, causes: int, width: int = 32):
        super().__init__()
        widths = [width, 2 * width, 3 * width, 4 * width]
        self.stem = _unit(12, widths[0], 1)
        self.down = nn.Sequential(*(nn.Sequential(_unit(a, b, 2), _unit(b, b, 1)) for a, b in zip(widths, widths[1:])))
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(widths[-1] * 16, 256), nn.SiLU(), nn.Linear(256, causes))

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[-2:] != (64, 64):
            images = F.interpolate(images, (64, 64), mode='bilinear', antialias=True)
        return self.head(self.down(self.stem(F.pixel_unshuffle(images, 2))))  # (B,causes)


class CauseTrainingConfig(FamilyConfig):
    """Config of CauseTraining. The loss `causes` is the mean absolute error."""

    size: int = Field(64, ge=32, description='side of the images in pixels')
    causes: int = Field(62, description='number of renderer parameters')
    width: int = Field(32, description='channels at half of the size')
    weights: dict[str, float] = {'causes': 1.0}


class CauseTraining(Family):
    """Trains CauseNet on CauseBatches."""

    task = 'causes'
    batch = CauseBatch
    config: CauseTrainingConfig

    def __init__(self, config: CauseTrainingConfig, perception: Perception | None = None):
        super().__init__(config, perception)
        self.network = CauseNet(config.causes, config.width)

    def param_groups(self) -> dict[str, list[Parameter]]:
        return {'reader': list(self.parameters())}

    def ema_modules(self) -> dict[str, nn.Module]:
        return {'network': self.network}

    def forward(self, group: str, batch: CauseBatch, step: int, cache: dict) -> dict[str, Tensor]:
        return {'causes': F.l1_loss(self.network(batch.images).float(), batch.causes)}

    def panel(self, batch: CauseBatch) -> dict[str, Tensor]:
        return {'face': batch.images[:8]}


def causes_bytes(training: CauseTraining) -> bytes:
    """The network as safetensors in half precision."""
    state = {name: value.detach().cpu().contiguous() for name, value in training.network.state_dict().items()}
    return save({name: value.half() if value.is_floating_point() else value for name, value in state.items()},
                {'format': 'pt', 'network': 'causes'})


def load_causes(path: str | Path) -> CauseNet:
    """Load a frozen CauseNet from a file of causes_bytes. Raises models.weights.WeightsError if the file cannot be read,
    ValueError if it holds another network."""
    state = read_state(Path(path))
    try:
        network = CauseNet(len(state['head.3.bias']), len(state['stem.1.weight']))
        network.load_state_dict({name: value.float() if value.is_floating_point() else value for name, value in state.items()})
    except (RuntimeError, KeyError) as error:
        raise ValueError(f'{path} does not hold a CauseNet; give a causes.safetensors of a run') from error
    return network.eval().requires_grad_(False)
