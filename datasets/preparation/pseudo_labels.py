"""Pseudo labels: cleaned label maps of a teacher network for a packed cache of faces, IGNORED where the teacher is uncertain.

They are stored in labeled.npy in the folder of the cache. Only LabeledFaces reads this file: pseudo labels are no ground truth.
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
from models.images import to_tensor

LABELED = 'labeled.npy'
_MIN_PROBABILITY = 0.55  # posterior probability of a label
_MIN_COMPONENT_PX = 12  # area of a connected component of a part
_PRIOR_WEIGHT = 0.7  # exponent of the spatial prior
_PRIOR_IMAGES = 1000  # evenly spaced images from which the prior is estimated
_UNLABELED = 254  # initial value of labeled.npy
_STATUS = 'labeled-status.npy'


class LabeledFaces(PackedFaces):
    """Faces of a cache with the label maps of a teacher, in ids of PARTS or IGNORED."""

    parsing_file = LABELED


def spatial_prior(mean: Tensor) -> Tensor:
    """Mean probabilities (P,H,W) of the parts -> a smoothed, positive prior (P,H,W) that sums to 1 over the parts."""
    from torchvision.transforms.v2.functional import gaussian_blur

    prior = gaussian_blur(mean, [33, 33], [4.0, 4.0]) + 1e-4
    return prior / prior.sum(0)


def clean_labels(probability: Tensor, prior: Tensor) -> np.ndarray:
    """(B,H,W) uint8 label maps from probabilities (B,P,H,W) of a teacher and a spatial prior (P,H,W).

    IGNORED where the largest posterior probability is below 0.55 or the connected component of the part has fewer than 12 pixels.
    """
    from torchvision.transforms.v2.functional import gaussian_blur

    posterior = gaussian_blur(probability, [7, 7], [0.8, 0.8]) * prior ** _PRIOR_WEIGHT
    confidence, labels = (posterior / (posterior.sum(1, keepdim=True) + 1e-9)).max(1)
    maps = torch.where(confidence < _MIN_PROBABILITY, IGNORED, labels).byte().numpy()  # (B,H,W)
    for label_map in maps:
        for part in np.unique(label_map):
            _, components, stats, _ = cv2.connectedComponentsWithStats((label_map == part).astype(np.uint8))
            small = np.flatnonzero(stats[:, cv2.CC_STAT_AREA] < _MIN_COMPONENT_PX)
            label_map[np.isin(components, small[small > 0])] = IGNORED
    return maps


def write_pseudo_labels(faces: Faces, folder: str | Path, probability_of: Callable[[Tensor], Tensor], *, name: str = '',
                        batch: int = 16, workers: int = 0,
                        progress: Callable[[int, int], None] = lambda done, total: None) -> LabeledFaces:
    """Pack faces in the template `celebahq` into `folder` and add the label maps of a teacher. An interrupted call resumes.

    Args:
        faces: faces to label.
        folder: folder of the cache.
        probability_of: teacher; images (B,3,H,W) in [-1,1] in that template -> probabilities (B,19,H,W).
        name: name of the teacher; with `batch` it identifies the labels of an interrupted call.
        batch: images per call of the teacher.
        workers: processes that read images; 0 reads in the calling process.
        progress: called with the number of labeled images and of all images.

    Raises ValueError as datasets.cache.pack does.
    """
    packed = pack(faces, folder, template('celebahq'), workers=workers)
    stamp_file = packed.root / 'labeled.stamp.part'
    if (packed.root / LABELED).is_file():
        discard(stamp_file, _STATUS)
        return LabeledFaces(folder)

    def probabilities(indices: np.ndarray) -> Tensor:
        return probability_of(to_tensor(np.stack([packed.read(int(index))[0] for index in indices]))).float().cpu()

    sampled = np.unique(np.linspace(0, len(packed) - 1, min(_PRIOR_IMAGES, len(packed))).round().astype(int))
    batches = np.split(sampled, range(batch, len(sampled), batch))
    prior = spatial_prior(sum((probabilities(indices).sum(0) for indices in batches), torch.zeros(())) / len(sampled))
    shape = int(packed._rows.max()) + 1, *prior.shape[1:]
    arrays = PartialArrays(stamp_file, f'{name} {batch}', {
        LABELED: (np.uint8, shape, _UNLABELED), _STATUS: (np.uint8, (-(-len(packed) // batch),), 0)}, 'the label maps')
    fill_batches(arrays, LABELED, _STATUS, packed._rows, batch, lambda indices: clean_labels(probabilities(indices), prior),
                 progress)
    arrays.keep(LABELED)
    arrays.discard()
    return LabeledFaces(folder)
