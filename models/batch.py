"""What a family is fed: frozen batches with `.to(device)`."""
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import torch
from torch import Tensor

# The label ids of CelebAMask-HQ: index in this tuple = id. l_ and r_ are the viewer's left and right.
PARTS = ('background', 'skin', 'nose', 'eye_g', 'l_eye', 'r_eye', 'l_brow', 'r_brow', 'l_ear', 'r_ear', 'mouth', 'u_lip', 'l_lip',
         'hair', 'hat', 'ear_r', 'neck_l', 'neck', 'cloth')
# What a face mask (1 = face) holds: skin and features, not ears, hair or neck.
FACE_PARTS = ('skin', 'nose', 'eye_g', 'l_eye', 'r_eye', 'l_brow', 'r_brow', 'mouth', 'u_lip', 'l_lip')
FACE_IDS = tuple(PARTS.index(name) for name in FACE_PARTS)
_OPPOSITE = {'l_eye': 'r_eye', 'l_brow': 'r_brow', 'l_ear': 'r_ear'}
_OPPOSITE |= {right: left for left, right in _OPPOSITE.items()}
MIRRORED_IDS = tuple(PARTS.index(_OPPOSITE.get(name, name)) for name in PARTS)  # what a part is in the mirror image
# The classes of FASSEG (Khan et al. 2015): index in this mapping = id, and which of PARTS such a pixel may show. What the hand
# labels leave open (a hat, glasses) stands in several.
COARSE = {
    'background': ('background', 'hat', 'cloth', 'neck_l', 'ear_r', 'eye_g'),
    'skin': ('skin', 'l_ear', 'r_ear', 'neck', 'eye_g'),
    'hair': ('hair', 'l_brow', 'r_brow', 'hat'),
    'eyes': ('l_eye', 'r_eye', 'eye_g'),
    'nose': ('nose',),
    'mouth': ('mouth', 'u_lip', 'l_lip'),
}
IGNORED = 255  # in the label maps of a ParsingBatch: nobody knows


class _Batch:
    def map(self, fn: Callable[[Any], Any]) -> Self:
        """The same batch with fn(value) for each field that is not None."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: fn(value) for name, value in values.items() if value is not None})

    def to(self, device: torch.device | str, *, non_blocking: bool = True) -> Self:
        """The same batch on another device."""
        return self.map(lambda value: value.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Self:
        """The same batch in pinned memory; DataLoader(pin_memory=True) calls this."""
        return self.map(lambda value: value.pin_memory() if isinstance(value, Tensor) else value)


@dataclass(frozen=True)
class SwapBatch(_Batch):
    """Put the identity of `source` on `target`. Images are float32 RGB (B,3,H,W) in [-1,1] in the template `face`
    (models.geometry), whatever their size in pixels.

    same is True where source and target show one person, so that the target itself is the true answer.
    target_parsing holds label ids of PARTS (int64, (B,H,W)); where it is None the
    family asks its face parser. source_embedding overrides what the identity encoder would see in `source`.
    truth is the true swap where it is known (synthetic faces).
    """

    source: Tensor                        # (B,3,H,W) in [-1,1]
    target: Tensor                        # (B,3,H,W) in [-1,1]
    same: Tensor                          # (B,) bool
    target_parsing: Tensor | None = None  # (B,H,W) int64 in 0..18
    source_embedding: Tensor | None = None  # (B,D) unit length
    source_label: Tensor | None = None   # (B,) int64
    target_label: Tensor | None = None   # (B,) int64
    truth: Tensor | None = None           # (B,3,H,W) in [-1,1]
    target_landmarks: Tensor | None = None  # (B,5,2) pixels, NaN where unknown

    def __len__(self) -> int:
        return len(self.source)


@dataclass(frozen=True)
class PairBatch(_Batch):
    """Two domains, photo `a` and drawing `b`; paired is True where both show the same face in the same pose."""

    a: Tensor                         # (B,3,H,W) in [-1,1]
    b: Tensor                         # (B,3,H,W) in [-1,1]
    paired: Tensor                    # (B,) bool
    a_label: Tensor | None = None    # (B,) int64
    b_label: Tensor | None = None    # (B,) int64

    def __len__(self) -> int:
        return len(self.a)


@dataclass(frozen=True)
class FaceBatch(_Batch):
    """Single faces and whom they show, aligned as the network that learns from them wants it."""

    images: Tensor  # (B,3,H,W) in [-1,1]
    person: Tensor    # (B,) int64, counted from 0
    drawing: Tensor | None = None  # (B,) bool, drawings rather than photos, where that is known

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class ParsingBatch(_Batch):
    """Faces in the template `face` with what a face parser should see in them. An image has labels of the one kind or of the
    other; those of the other kind, like all that is not known, are IGNORED."""

    images: Tensor  # (B,3,H,W) in [-1,1]
    labels: Tensor    # (B,H,W) int64, ids of PARTS
    coarse: Tensor    # (B,H,W) int64, ids of COARSE

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class CauseBatch(_Batch):
    """Drawn faces in the template `face` with what they were drawn from, each cause scaled to [-1,1]."""

    images: Tensor  # (B,3,H,W) in [-1,1]
    causes: Tensor    # (B,C) float32

    def __len__(self) -> int:
        return len(self.images)


def collate(samples: list):
    """Stack single samples (batches without the leading dimension) into one batch of the same type."""
    first = samples[0]
    columns = {f.name: [getattr(s, f.name) for s in samples] for f in fields(first)}
    return type(first)(**{name: None if values[0] is None else torch.stack(values) for name, values in columns.items()})
