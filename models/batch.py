"""Batches of the families: frozen dataclasses with `.to(device)` and `.map(fn)`."""
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

# Label ids of CelebAMask-HQ: index in this tuple = id. l_ and r_ are left and right in the image.
PARTS = ('background', 'skin', 'nose', 'eye_g', 'l_eye', 'r_eye', 'l_brow', 'r_brow', 'l_ear', 'r_ear', 'mouth', 'u_lip', 'l_lip',
         'hair', 'hat', 'ear_r', 'neck_l', 'neck', 'cloth')
# Parts of a face mask (1 = face): skin and features, without ears, hair and neck.
FACE_PARTS = ('skin', 'nose', 'eye_g', 'l_eye', 'r_eye', 'l_brow', 'r_brow', 'mouth', 'u_lip', 'l_lip')
FACE_IDS = tuple(PARTS.index(name) for name in FACE_PARTS)
_OPPOSITE = {'l_eye': 'r_eye', 'l_brow': 'r_brow', 'l_ear': 'r_ear'}
_OPPOSITE |= {right: left for left, right in _OPPOSITE.items()}
MIRRORED_IDS = tuple(PARTS.index(_OPPOSITE.get(name, name)) for name in PARTS)  # id of each part in the mirrored image
# Classes of FASSEG (Khan et al. 2015): index in this mapping = id; values are the PARTS of such pixels. Parts that are no
# class of FASSEG (hat, glasses) belong to several.
COARSE = {
    'background': ('background', 'hat', 'cloth', 'neck_l', 'ear_r', 'eye_g'),
    'skin': ('skin', 'l_ear', 'r_ear', 'neck', 'eye_g'),
    'hair': ('hair', 'l_brow', 'r_brow', 'hat'),
    'eyes': ('l_eye', 'r_eye', 'eye_g'),
    'nose': ('nose',),
    'mouth': ('mouth', 'u_lip', 'l_lip'),
}
IGNORED = 255  # unknown label in the label maps of a ParsingBatch


BatchT = TypeVar('BatchT', bound='_Batch')


@dataclass(frozen=True)
class _Batch:
    """Base of the batches. Fields are tensors or None; the first dimension is the batch."""

    def map(self: BatchT, fn: Callable[[Any], Any]) -> BatchT:
        """The same batch with fn(value) for each field that is not None."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: fn(value) for name, value in values.items() if value is not None})

    def to(self: BatchT, device: torch.device | str, *, non_blocking: bool = True) -> BatchT:
        """The same batch on another device."""
        return self.map(lambda value: value.to(device, non_blocking=non_blocking))

    def pin_memory(self: BatchT) -> BatchT:
        """The same batch in pinned memory; DataLoader(pin_memory=True) calls this."""
        return self.map(lambda value: value.pin_memory() if isinstance(value, Tensor) else value)


@dataclass(frozen=True)
class SwapBatch(_Batch):
    """Sources and targets of face swaps, aligned to the template `face` of models.geometry.

    same: whether source and target show the same identity, so that the target is the expected swap. target_parsing: label ids of
    PARTS; computed by the parser if None. source_embedding: replaces the id encoder's embedding of the source. truth: the
    expected swap, of rendered faces and of reversed pairs; the target in rows without. has_truth: the rows with an expected swap;
    None for all of them.
    """

    source: Tensor                          # (B,3,H,W) in [-1,1]
    target: Tensor                          # (B,3,H,W) in [-1,1]
    same: Tensor                            # (B,) bool
    target_parsing: Tensor | None = None    # (B,H,W) int64 in 0..18
    source_embedding: Tensor | None = None  # (B,D) unit length
    source_label: Tensor | None = None      # (B,) int64
    target_label: Tensor | None = None      # (B,) int64
    truth: Tensor | None = None             # (B,3,H,W) in [-1,1]
    target_landmarks: Tensor | None = None  # (B,5,2) pixels, NaN where unknown
    has_truth: Tensor | None = None         # (B,) bool

    def __len__(self) -> int:
        return len(self.source)

    @property
    def real(self) -> Tensor:
        """(B,3,H,W): the expected swaps, and the targets in rows without."""
        return self.target if self.truth is None else self.truth

    @property
    def real_label(self) -> Tensor | None:
        """(B,) int64: identity labels of `real`."""
        if self.source_label is None or self.target_label is None:
            return self.target_label
        return torch.where(self.supervised, self.source_label, self.target_label)

    @property
    def supervised(self) -> Tensor:
        """(B,) bool: whether `real` is the expected swap."""
        if self.truth is None:
            return self.same
        return torch.ones_like(self.same) if self.has_truth is None else self.has_truth | self.same


@dataclass(frozen=True)
class PairBatch(_Batch):
    """Images of two domains, photos `a` and drawings `b`. paired: whether both show the same face in the same pose."""

    a: Tensor                      # (B,3,H,W) in [-1,1]
    b: Tensor                      # (B,3,H,W) in [-1,1]
    paired: Tensor                 # (B,) bool
    a_label: Tensor | None = None  # (B,) int64
    b_label: Tensor | None = None  # (B,) int64

    def __len__(self) -> int:
        return len(self.a)


@dataclass(frozen=True)
class FaceBatch(_Batch):
    """Faces with identity labels, aligned to the template of the recognition network."""

    images: Tensor                 # (B,3,H,W) in [-1,1]
    label: Tensor                  # (B,) int64 from 0
    drawing: Tensor | None = None  # (B,) bool, True for drawings, False for photos

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class ParsingBatch(_Batch):
    """Faces in the template `face` with parsing labels, fine or coarse. Unknown labels are IGNORED."""

    images: Tensor  # (B,3,H,W) in [-1,1]
    labels: Tensor  # (B,H,W) int64, ids of PARTS
    coarse: Tensor  # (B,H,W) int64, ids of COARSE

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class CauseBatch(_Batch):
    """Rendered faces in the template `face` with the parameters that they were rendered from."""

    images: Tensor  # (B,3,H,W) in [-1,1]
    causes: Tensor  # (B,C) float32 in [-1,1]

    def __len__(self) -> int:
        return len(self.images)


def collate(samples: list[BatchT]) -> BatchT:
    """Stack samples (batches without the leading dimension) into a batch of the same type."""
    first = samples[0]
    columns = {f.name: [getattr(s, f.name) for s in samples] for f in fields(first)}
    return type(first)(**{name: None if values[0] is None else torch.stack(values) for name, values in columns.items()})
