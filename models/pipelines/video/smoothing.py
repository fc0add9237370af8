"""What is steady in a video: landmarks by the one-euro filter, and made faces that change only where the filmed face does.

Both are kept as plain dictionaries of tensors and numbers by `state`, so that a video which was interrupted goes on as if it had
not been.
"""
import cv2
import numpy as np
import torch

CUTOFF = 1.5  # Hz, of a face at rest: lower is steadier, and later
BETA = 6.0  # Hz per (face width / second): how fast the filter lets go of a face that moves
SPEED_CUTOFF = 2.0  # Hz, of the speed that decides on it
HELD = 0.7  # part of the last made face that a pixel keeps while the filmed face stands still there
STILL = 0.05  # difference of the filmed face, in [-1,1], at which a pixel keeps a third of that
MASK_HELD = 0.6  # part of the last mask that is kept, and of the last tones


class OneEuro:
    """The one-euro filter (Casiez, Roussel & Vogel 2012) on an array of coordinates, all with one cutoff: a face is rigid, and
    points that are held back unequally would bend it.

    cutoff in Hz; beta in Hz per (unit / second); `value` and `unit`, the length that speeds are told in, in pixels.
    """

    def __init__(self, cutoff: float = CUTOFF, beta: float = BETA, speed_cutoff: float = SPEED_CUTOFF):
        self.cutoff, self.beta, self.speed_cutoff = cutoff, beta, speed_cutoff
        self.value = self.speed = None

    @staticmethod
    def _share(cutoff: float, seconds: float) -> float:
        """Of the new value in the exponential mean: eq. 2 of the paper."""
        return 1 / (1 + 1 / (2 * np.pi * cutoff * seconds))

    def __call__(self, value: np.ndarray, seconds: float, unit: float) -> np.ndarray:
        """(N,2) and the time since the last call, which the first one ignores -> (N,2)."""
        if self.value is None:
            self.value, self.speed = value.astype(np.float64), np.zeros(value.shape)
        elif seconds > 0:
            speed = (value - self.value) / (seconds * unit)
            self.speed = self.speed + self._share(self.speed_cutoff, seconds) * (speed - self.speed)
            share = self._share(self.cutoff + self.beta * float(np.linalg.norm(self.speed.mean(0))), seconds)
            self.value = self.value + share * (value - self.value)
        return self.value.astype(np.float32)

    def state(self) -> dict:
        return {} if self.value is None else {'value': torch.from_numpy(self.value), 'speed': torch.from_numpy(self.speed)}

    def restore(self, state: dict) -> None:
        self.value = state['value'].numpy() if state else None
        self.speed = state['speed'].numpy() if state else None


class TemporalSmoothing:
    """Temporal blending of one person's made faces in their aligned frame.

    A pixel of the made face keeps the more of its last value the less the filmed face changed around it, so that what shimmers at
    rest is averaged and what moves, such as a hand in front of the face, is not smeared; so does the mask. The tones are averaged
    over a few frames. still: (S,S) float32 in [0,1], 1 where the filmed face did not change.
    """

    def __init__(self):
        self.filmed = self.made = self.mask = self.change = self.still = None

    def face(self, filmed: np.ndarray, made: np.ndarray) -> np.ndarray:
        """(S,S,3) float32 in [-1,1], the face as filmed and as made -> (S,S,3)."""
        if self.made is not None and self.made.shape == made.shape:
            change = cv2.GaussianBlur(np.abs(filmed - self.filmed).mean(2), (0, 0), len(filmed) / 48)
            self.still = np.exp(-(change / STILL) ** 2)
            kept = HELD * self.still
            if kept.shape != made.shape[:2]:
                kept = cv2.resize(kept, made.shape[1::-1])
            made = made + kept[..., None] * (self.made - made)
        self.filmed, self.made = filmed, made.astype(np.float32)
        return self.made

    def outline(self, mask: np.ndarray) -> np.ndarray:
        """(M,M) float32 in [0,1] -> (M,M). Called after `face`."""
        if self.mask is not None:
            held = MASK_HELD if self.still is None else MASK_HELD * cv2.resize(self.still, mask.shape[::-1])
            mask = (mask + held * (self.mask - mask)).astype(np.float32)
        self.mask = mask
        return self.mask

    def tones(self, change: np.ndarray) -> np.ndarray:
        """What blend.tones says -> the same, averaged."""
        self.change = change if self.change is None else change + MASK_HELD * (self.change - change)
        return self.change

    def state(self) -> dict:
        return {name: torch.from_numpy(value) for name, value in vars(self).items() if value is not None}

    def restore(self, state: dict) -> None:
        for name in vars(self):
            setattr(self, name, state[name].numpy() if name in state else None)
