"""Colors of one domain given the distribution of the other's, so that a translator need not learn them."""
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

# name -> conversion of RGB there and back; hue, too, takes all values 0..255
SPACES = {'rgb': None, 'hsv': (cv2.COLOR_RGB2HSV_FULL, cv2.COLOR_HSV2RGB_FULL),
          'hls': (cv2.COLOR_RGB2HLS_FULL, cv2.COLOR_HLS2RGB_FULL)}


@dataclass(frozen=True)
class Matching:
    """How the histograms of a pair are matched, channel by channel in the color space `space` ('none': not at all). to_a: with
    this probability b is given a's colors, otherwise a is given b's. ratio: 1 for all of the way, 0 for none of it."""

    space: str = 'none'
    to_a: float = 0.5
    ratio: float = 1.0

    def draw(self, a: Tensor, b: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """A pair of images (3,H,W) uint8, one of them changed."""
        if self.space == 'none':
            return a, b
        return (a, self.matched(b, a)) if rng.random() < self.to_a else (self.matched(a, b), b)

    def matched(self, image: Tensor, like: Tensor) -> Tensor:
        """`image` (3,H,W) uint8 with the histograms of `like`."""
        pixels, wanted = (np.ascontiguousarray(value.permute(1, 2, 0).numpy()) for value in (image, like))
        there, back = SPACES[self.space] or (None, None)
        if there is not None:
            pixels, wanted = cv2.cvtColor(pixels, there), cv2.cvtColor(wanted, there)
        channels = [self._looked_up(pixels[..., i], wanted[..., i]) for i in range(3)]
        changed = np.stack(channels, -1)
        if back is not None:
            changed = cv2.cvtColor(changed, back)
        return torch.from_numpy(changed).permute(2, 0, 1)

    def _looked_up(self, channel: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        own, other = (np.bincount(values.ravel(), minlength=256).cumsum() / values.size for values in (channel, wanted))
        table = np.searchsorted(self.ratio * other + (1 - self.ratio) * own, own - 1e-9)
        return table.clip(max=255).astype(np.uint8)[channel]
