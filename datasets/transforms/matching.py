"""Histogram matching between the images of two domains."""
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

# name -> OpenCV conversions from and to RGB; all channels, hue included, use the range 0..255
SPACES = {'rgb': None, 'hsv': (cv2.COLOR_RGB2HSV_FULL, cv2.COLOR_HSV2RGB_FULL),
          'hls': (cv2.COLOR_RGB2HLS_FULL, cv2.COLOR_HLS2RGB_FULL)}


@dataclass(frozen=True)
class Matching:
    """Channel-wise histogram matching of a pair of images.

    space: color space, one of SPACES, or 'none' to disable matching. to_a: probability that b is matched to a; otherwise a is
    matched to b. ratio: interpolation between the histogram of the image (0) and that of the reference (1).
    """

    space: str = 'none'
    to_a: float = 0.5
    ratio: float = 1.0

    def match_pair(self, a: Tensor, b: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """A pair of images (3,H,W) uint8, one of which is matched to the other."""
        if self.space == 'none':
            return a, b
        return (a, self.match_histograms(b, a)) if rng.random() < self.to_a else (self.match_histograms(a, b), b)

    def match_histograms(self, image: Tensor, reference: Tensor) -> Tensor:
        """`image` (3,H,W) uint8 with its histograms matched to those of `reference` (3,H,W) uint8."""
        pixels, reference_pixels = (np.ascontiguousarray(value.permute(1, 2, 0).numpy()) for value in (image, reference))
        from_rgb, to_rgb = SPACES[self.space] or (None, None)
        if from_rgb is not None:
            pixels, reference_pixels = cv2.cvtColor(pixels, from_rgb), cv2.cvtColor(reference_pixels, from_rgb)
        channels = [self._match_channel(pixels[..., i], reference_pixels[..., i]) for i in range(3)]
        matched = np.stack(channels, -1)
        if to_rgb is not None:
            matched = cv2.cvtColor(matched, to_rgb)
        return torch.from_numpy(matched).permute(2, 0, 1)

    def _match_channel(self, channel: np.ndarray, reference: np.ndarray) -> np.ndarray:
        cdf, reference_cdf = (np.bincount(image.ravel(), minlength=256).cumsum() / image.size for image in (channel, reference))
        table = np.searchsorted(self.ratio * reference_cdf + (1 - self.ratio) * cdf, cdf - 1e-9)
        return table.clip(max=255).astype(np.uint8)[channel]
