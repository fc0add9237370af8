"""Speed of image loading, of the Frechet distance and of the rendering of synthetic faces."""
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from datasets.cache import pack
from datasets.faces import Faces
from datasets.loaders import build_loader
from datasets.registry import build_faces
from datasets.samples.swaps import Swaps
from datasets.synthetic import render, sample_attributes, sample_identity
from datasets.transforms.joint import Augmentation, face_frame
from experiments.evaluation.metrics.distribution import Moments, frechet_distance
from models.image_io import open_image


class _DecodedImages(Dataset):
    """Baseline data set of image files: decoding and resizing by PIL, random flip, conversion to a tensor, normalization."""

    def __init__(self, faces: Faces, size: int):
        self.paths = [faces.path(i) for i in range(len(faces))]
        self.transform = transforms.Compose([transforms.Resize((size, size)), transforms.RandomHorizontalFlip(),
                                             transforms.ToTensor(), transforms.Normalize([0.5] * 3, [0.5] * 3)])

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        with open_image(self.paths[index]) as image:
            return self.transform(image.convert('RGB'))


def write_rendered_faces(folder: Path, count: int) -> Path:
    """Write `count` rendered faces as 178x218 JPEG files, in a folder per identity. Returns the folder."""
    for i in range(count):
        image = render(sample_identity(0, i % 40), sample_attributes(0, i), 128).image
        path = folder / f'person_{i % 40:02d}' / f'{i:05d}.jpg'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).resize((218, 218), Image.Resampling.BICUBIC).crop((20, 0, 198, 218)).save(path, quality=90)
    return folder


def images_per_second(loader: DataLoader, images: Callable[[Any], int], seconds: float) -> float:
    """Rate over at least `seconds`, after the first batch.

    Args:
        images: batch -> number of its images.
    """
    batches = iter(loader)
    next(batches)
    count, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        batch = next(batches, None)
        if batch is None:
            batches = iter(loader)
        else:
            count += images(batch)
    return count / elapsed


def loading_figures(name: str | None, root: Path | None, *, size: int = 128, workers: int = 2, batch: int = 64,
                    seconds: float = 4.0, repeats: int = 3) -> dict[str, float]:
    """Images per second of decoding JPEG files and of the memory-mapped cache.

    Both with random flips and into float batches; medians over `repeats` alternating measurements.

    Args:
        name: data set of faces; None for 400 rendered faces, which are written to a temporary folder.
        root: folder of the data set.
        size: side in pixels.
        workers: processes of each loader.
        batch: images per batch.
        seconds: duration of a measurement.
    """
    with tempfile.TemporaryDirectory() as scratch:
        if name is None:
            name, root = 'folder', write_rendered_faces(Path(scratch) / 'rendered', 400)
        faces = build_faces(name, root)
        start = time.perf_counter()
        packed = pack(faces, Path(scratch) / 'cache', face_frame(size), workers=workers)
        packing = time.perf_counter() - start
        flips = Augmentation(flip=0.5, affine=0.0, color=0.0)
        decoded = DataLoader(_DecodedImages(faces, size), batch, shuffle=True, num_workers=workers,
                             persistent_workers=workers > 0, drop_last=len(faces) >= batch)
        cached = build_loader(Swaps(packed, size, balanced=True, augmentation=flips), max(1, batch // 2), workers=workers)
        rates = np.array([(images_per_second(decoded, len, seconds),
                           images_per_second(cached, lambda pairs: 2 * len(pairs), seconds)) for _ in range(repeats)])
        return {'images': len(faces), 'seconds of packing': packing, 'decoded images/s': statistics.median(rates[:, 0]),
                'cached images/s': statistics.median(rates[:, 1]), 'ratio': statistics.median(rates[:, 1] / rates[:, 0])}


def frechet_figures(*, width: int, images: int, repeats: int) -> dict[str, float]:
    """Seconds of the Frechet distance by eigenvalues and by scipy's matrix square root, and the difference of the results.

    Both for the same features, whose spectrum decays fast; medians over `repeats`.

    Args:
        width: length of the features.
        images: features in each of the two sets.
    """
    from scipy.linalg import sqrtm

    generator = torch.Generator().manual_seed(0)
    scale = torch.arange(1, width + 1).float().rsqrt()
    sets = [Moments(width), Moments(width)]
    for index, moments in enumerate(sets):
        moments.add(torch.randn(images, width, generator=generator) * scale * (1 + 0.1 * index) + 0.01 * index)
    first, second = (moments.covariance.numpy() for moments in sets)
    constant = float((sets[0].mean - sets[1].mean).square().sum()) + np.trace(first) + np.trace(second)

    def by_square_root() -> float:
        return float(constant - 2 * np.trace(sqrtm(first @ second)).real)

    seconds: dict[str, list[float]] = {'eigenvalues': [], 'sqrtm': []}
    results: dict[str, float] = {}
    for _ in range(repeats):
        for name, compute in (('eigenvalues', lambda: frechet_distance(*sets)), ('sqrtm', by_square_root)):
            start = time.perf_counter()
            results[name] = compute()
            seconds[name].append(time.perf_counter() - start)
    medians = {f'seconds by {name}': statistics.median(values) for name, values in seconds.items()}
    return {**medians, 'times faster': medians['seconds by sqrtm'] / medians['seconds by eigenvalues'],
            'distance': results['eigenvalues'], 'difference': abs(results['eigenvalues'] - results['sqrtm'])}


def rendering_figures(*, size: int, seconds: float, repeats: int) -> dict[str, float]:
    """Rendered faces per second on one core: median and maximum of the measurements."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    rates = []
    try:
        for _ in range(repeats):
            start, count = time.perf_counter(), 0
            while time.perf_counter() - start < seconds:
                render(sample_identity(0, count), sample_attributes(0, count), size)
                count += 1
            rates.append(count / (time.perf_counter() - start))
    finally:
        cv2.setNumThreads(threads)
    return {'rendered faces/s': statistics.median(rates), 'best': max(rates)}
