"""Base class of the diffusion networks."""
from typing import Any

from torch import Tensor, nn

from models.ddpm.parameterization import Prediction, Schedule


class Denoiser(nn.Module):
    """Base of every diffusion network.

    Args:
        size: side in pixels of the images that the network was trained on.
        channels: channels of an image.
        prediction: parameterization of the first `channels` outputs.
        learned_sigma: `channels` further outputs interpolate the log variance between its bounds (-1 to 1).
        schedule: noise schedule of the training, 1000 levels.
    """

    def __init__(self, size: int, *, channels: int = 3, prediction: Prediction = 'epsilon', learned_sigma: bool = False,
                 schedule: Schedule = 'linear'):
        super().__init__()
        self.size, self.channels, self.prediction = size, channels, prediction
        self.learned_sigma, self.schedule = learned_sigma, schedule

    def forward(self, image: Tensor, timestep: Tensor, condition: Any = None) -> Tensor:
        """Noisy image (B,3,H,W), timestep (B,) int64 in 0..999 and the network's own condition, None for unconditional ->
        (B,3,H,W), or (B,6,H,W) with learned sigma."""
        raise TypeError(f'{type(self).__name__} does not implement forward')
