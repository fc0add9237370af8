"""Label maps that a teacher gives to a packed cache of faces, cleaned: what it is unsure of is IGNORED.

They lie in labeled.npy beside the images, so that nothing but the training of a parser takes them for known.
"""
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from datasets.cache import PackedFaces, pack
from datasets.faces import Faces
from datasets.partial import PartialArrays, discard, fill_batches
from models.batch import IGNORED
from models.geometry import template

LABELED = 'labeled.npy'
_SURE = 0.55  # least probability of a label
_SPECK = 12  # pixels; smaller spots of a part are noise
_PRIOR_WEIGHT = 0.7
_PRIOR_IMAGES = 1000
_UNDONE = 254
_STATUS = 'labeled-status.npy'


class LabeledFaces(PackedFaces):
    """Faces out of a cache with the labels of a teacher, in ids of PARTS or IGNORED."""

    parsing_file = LABELED


def spatial_prior(mean: Tensor) -> Tensor:
    """Mean probability of each part at each place (P,H,W), smoothed, and nowhere quite 0; sums to 1 over the parts."""
    from torchvision.transforms.v2.functional import gaussian_blur

    prior = gaussian_blur(mean, [33, 33], [4.0, 4.0]) + 1e-4
    return prior / prior.sum(0)


def cleaned(probability: Tensor, prior: Tensor) -> np.ndarray:
    """(B,P,H,W) of a teacher and (P,H,W) -> (B,H,W) uint8 label maps; IGNORED where no part is sure or its spot is a speck."""
    from torchvision.transforms.v2.functional import gaussian_blur

    belief = gaussian_blur(probability, [7, 7], [0.8, 0.8]) * prior ** _PRIOR_WEIGHT
    sure, labels = (belief / (belief.sum(1, keepdim=True) + 1e-9)).max(1)
    labels = torch.where(sure < _SURE, IGNORED, labels).byte().numpy()
    for one in labels:
        for part in np.unique(one):
            _, spots, found, _ = cv2.connectedComponentsWithStats((one == part).astype(np.uint8))
            specks = np.flatnonzero(found[:, cv2.CC_STAT_AREA] < _SPECK)
            one[np.isin(spots, specks[specks > 0])] = IGNORED
    return labels


def label(faces: Faces, folder: str | Path, probability_of: Callable[[Tensor], Tensor], *, name: str = '', batch: int = 16,
          workers: int = 0, progress: Callable[[int, int], None] = lambda done, total: None) -> LabeledFaces:
    """Pack the faces in the template `celebahq` into `folder` and add the labels of a teacher. What was interrupted goes on.

    probability_of: images (B,3,H,W) in [-1,1] in that template -> (B,19,H,W). name: of the teacher. ValueError as for
    datasets.cache.pack.
    """
    packed = pack(faces, folder, template('celebahq'), workers=workers)
    note = packed.root / 'labeled.stamp.part'
    if (packed.root / LABELED).is_file():
        discard(note, _STATUS)
        return LabeledFaces(folder)

    def seen(indices) -> Tensor:
        images = np.stack([packed.read(int(index))[0] for index in indices])
        return probability_of(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1).float().cpu()

    every = np.unique(np.linspace(0, len(packed) - 1, min(_PRIOR_IMAGES, len(packed))).round().astype(int))
    mean = sum(seen(indices).sum(0) for indices in np.split(every, range(batch, len(every), batch))) / len(every)
    prior = spatial_prior(mean)
    shape = int(packed._rows.max()) + 1, *prior.shape[1:]
    arrays = PartialArrays(note, f'{name} {batch}', {
        LABELED: (np.uint8, shape, _UNDONE), _STATUS: (np.uint8, (-(-len(packed) // batch),), 0)}, 'the label maps')
    fill_batches(arrays, LABELED, _STATUS, packed._rows, batch, lambda indices: cleaned(seen(indices), prior), progress)
    arrays.keep(LABELED)
    arrays.discard()
    return LabeledFaces(folder)
