"""Typical features of each label in a data set, the style inputs of pix2pixHD."""
import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from scipy.cluster.vq import kmeans2

from models.batch import SwapBatch
from models.storage.files import write_bytes
from models.translation.pix2pixhd.family import Pix2PixHD

LEAST = 0.5 / 32  # share of an image below which a part's features count for nothing, as published


@torch.no_grad()
def label_features(family: Pix2PixHD, batches: Iterable[SwapBatch]) -> dict[int, np.ndarray]:
    """label -> (N,features), one row for each target in which the label takes at least LEAST of the image."""
    found: dict[int, list[np.ndarray]] = {}
    for batch in batches:
        features, share = family.features(batch.target, family.labels(batch))
        for label in range(features.shape[1]):
            rows = features[:, label][share[:, label] > LEAST]
            if len(rows):
                found.setdefault(label, []).append(rows.float().cpu().numpy())
    return {label: np.concatenate(rows) for label, rows in sorted(found.items())}


def clustered(features: dict[int, np.ndarray], clusters: int, seed: int = 0) -> dict[int, np.ndarray]:
    """label -> (K,features), centers of k-means, K the smaller of `clusters` and the number of different rows."""
    centers = {}
    for label, rows in features.items():
        count = min(clusters, len(np.unique(rows, axis=0)))
        found, belongs = kmeans2(rows.astype(np.float64), count, minit='++', seed=seed)
        centers[label] = found[np.unique(belongs)].astype(np.float32)
    return centers


def write_centers(path: Path, centers: dict[int, np.ndarray]) -> None:
    """One .npz with an array per label, named by its id."""
    buffer = io.BytesIO()
    np.savez(buffer, **{str(label): values for label, values in centers.items()})
    write_bytes(path, buffer.getvalue())


def read_centers(path: Path) -> dict[int, torch.Tensor]:
    """What write_centers wrote; ValueError where the file is no such file."""
    try:
        with np.load(path) as file:
            return {int(label): torch.from_numpy(file[label]) for label in file.files}
    except (OSError, ValueError) as error:
        raise ValueError(f'{path} holds no clustered features ({error}); make them with scripts/encode_features.py') from error
