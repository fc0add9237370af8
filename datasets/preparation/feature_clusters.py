"""Clusters of the part features of pix2pixHD over a data set, from which a style of each label is sampled (Wang et al. 2018,
section 3.4)."""
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.cluster.vq import kmeans2

from models.batch import SwapBatch
from models.storage.files import write_bytes
from models.translation.pix2pixhd.family import Pix2PixHD

MIN_AREA_FRACTION = 0.5 / 32  # of an image; the features of smaller parts are left out, as in the published code


@torch.no_grad()
def label_features(family: Pix2PixHD, batches: Iterable[SwapBatch]) -> dict[int, np.ndarray]:
    """label -> features (N,D), one row per target in which the label covers more than MIN_AREA_FRACTION of the image."""
    rows_of: dict[int, list[np.ndarray]] = {}
    for batch in batches:
        features, area_fraction = family.features(batch.target, family.labels(batch))
        for label in range(features.shape[1]):
            rows = features[:, label][area_fraction[:, label] > MIN_AREA_FRACTION]
            if len(rows):
                rows_of.setdefault(label, []).append(rows.float().cpu().numpy())
    return {label: np.concatenate(rows) for label, rows in sorted(rows_of.items())}


def cluster_features(features: dict[int, np.ndarray], clusters: int, seed: int = 0) -> dict[int, np.ndarray]:
    """label -> centers (K,D) float32 of k-means on its rows (N,D); K is at most `clusters` and the number of distinct rows."""
    centers = {}
    for label, rows in features.items():
        count = min(clusters, len(np.unique(rows, axis=0)))
        means, assignments = kmeans2(rows.astype(np.float64), count, minit='++', seed=seed)
        centers[label] = means[np.unique(assignments)].astype(np.float32)
    return centers


def write_centers(path: Path, centers: dict[int, np.ndarray]) -> None:
    """Write an .npz file with one array (K,D) per label, named by its id."""
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {str(label): values for label, values in centers.items()}
    np.savez(buffer, **arrays)
    write_bytes(path, buffer.getvalue())


def read_centers(path: Path) -> dict[int, torch.Tensor]:
    """Read a file of write_centers: label -> centers (K,D). Raises ValueError for another or an unreadable file."""
    try:
        with np.load(path) as file:
            return {int(label): torch.from_numpy(file[label]) for label in file.files}
    except (OSError, ValueError) as error:
        raise ValueError(f'{path} has no clustered features ({error}); write them with scripts/encode_features.py') from error
