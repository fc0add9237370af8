"""Temporal smoothing: landmarks by the one-euro filter, generated faces by blending with the previous frame.

`state` returns a plain dictionary of tensors and numbers, and `restore` continues from it bit-exactly.
"""
from typing import Any

import cv2
import numpy as np
import torch

CUTOFF_HZ = 1.5  # of a face at rest; lower is smoother and adds delay
BETA_HZ = 6.0  # increase of the cutoff per (face width / second)
SPEED_CUTOFF_HZ = 2.0  # of the speed estimate
STATIC_WEIGHT = 0.7  # of the previous generated face where the input does not change
STATIC_DIFFERENCE = 0.05  # difference of the inputs, in [-1,1], at which the weight falls to a third
MASK_WEIGHT = 0.6  # of the previous mask and color transfer


class OneEuroFilter:
    """The one-euro filter (Casiez, Roussel & Vogel 2012) for arrays of coordinates, with one cutoff for all points, since faces
    are rigid.

    Args:
        cutoff: of points at rest, in Hz.
        beta: increase of the cutoff with the speed, in Hz per (unit / second).
        speed_cutoff: of the speed estimate, in Hz.
    """

    def __init__(self, cutoff: float = CUTOFF_HZ, beta: float = BETA_HZ, speed_cutoff: float = SPEED_CUTOFF_HZ):
        self.cutoff, self.beta, self.speed_cutoff = cutoff, beta, speed_cutoff
        self.value: np.ndarray | None = None
        self.speed: np.ndarray | None = None

    @staticmethod
    def _smoothing_factor(cutoff: float, seconds: float) -> float:
        """Weight of the new value in the exponential mean (eq. 2)."""
        return 1 / (1 + 1 / (2 * np.pi * cutoff * seconds))

    def __call__(self, value: np.ndarray, seconds: float, unit: float) -> np.ndarray:
        """Filter new coordinates.

        Args:
            value: (N,2) in pixels.
            seconds: since the previous call; ignored by the first one.
            unit: length of a unit of speed in pixels.

        Returns:
            (N,2) float32.
        """
        if self.value is None or self.speed is None:
            self.value, self.speed = value.astype(np.float64), np.zeros(value.shape)
        elif seconds > 0:
            speed = (value - self.value) / (seconds * unit)
            self.speed = self.speed + self._smoothing_factor(self.speed_cutoff, seconds) * (speed - self.speed)
            cutoff = self.cutoff + self.beta * float(np.linalg.norm(self.speed.mean(0)))
            self.value = self.value + self._smoothing_factor(cutoff, seconds) * (value - self.value)
        return self.value.astype(np.float32)

    def state(self) -> dict[str, Any]:
        """State of the filter, for `restore`."""
        if self.value is None or self.speed is None:
            return {}
        return {'value': torch.from_numpy(self.value), 'speed': torch.from_numpy(self.speed)}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a `state`."""
        self.value = state['value'].numpy() if state else None
        self.speed = state['speed'].numpy() if state else None


class TemporalSmoothing:
    """Temporal blending of the generated faces of one track, in the aligned crop.

    Each pixel of a generated face and of its mask is blended with its previous value. The weight decreases with the change of
    the input face around the pixel, so that flicker of static regions is reduced and motion, such as a hand in front of the face,
    is not smeared. The color transfer is smoothed over a few frames.

    Attributes:
        face, generated, mask, color_transfer: previous values.
        stillness: (S,S) float32 in [0,1], 1 where the input face did not change.
    """

    def __init__(self) -> None:
        self.face: np.ndarray | None = None
        self.generated: np.ndarray | None = None
        self.mask: np.ndarray | None = None
        self.color_transfer: np.ndarray | None = None
        self.stillness: np.ndarray | None = None

    def smooth_face(self, face: np.ndarray, generated: np.ndarray) -> np.ndarray:
        """Smooth a generated face, given its input face; both (S,S,3) float32 in [-1,1], the generated one of any size."""
        if self.face is not None and self.generated is not None and self.generated.shape == generated.shape:
            change = cv2.GaussianBlur(np.abs(face - self.face).mean(2), (0, 0), len(face) / 48)
            self.stillness = np.exp(-(change / STATIC_DIFFERENCE) ** 2)
            weight = STATIC_WEIGHT * self.stillness
            if weight.shape != generated.shape[:2]:
                weight = cv2.resize(weight, generated.shape[1::-1])
            generated = generated + weight[..., None] * (self.generated - generated)
        self.face, self.generated = face, generated.astype(np.float32)
        return self.generated

    def smooth_mask(self, mask: np.ndarray) -> np.ndarray:
        """Smooth a mask (M,M) float32 in [0,1]. To be called after `smooth_face`."""
        if self.mask is not None:
            weight = MASK_WEIGHT if self.stillness is None else MASK_WEIGHT * cv2.resize(self.stillness, mask.shape[::-1])
            mask = (mask + weight * (self.mask - mask)).astype(np.float32)
        self.mask = mask
        return self.mask

    def smooth_color_transfer(self, transfer: np.ndarray) -> np.ndarray:
        """Smooth the result (2,3) of blend.color_transfer."""
        if self.color_transfer is not None:
            transfer = transfer + MASK_WEIGHT * (self.color_transfer - transfer)
        self.color_transfer = transfer
        return transfer

    def state(self) -> dict[str, Any]:
        """The previous values."""
        return {name: torch.from_numpy(value) for name, value in vars(self).items() if value is not None}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a `state`."""
        for name in vars(self):
            setattr(self, name, state[name].numpy() if name in state else None)
