"""How fast things are, measured side by side under the same load."""
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from datasets.cache import pack
from datasets.faces import Faces
from datasets.loaders import build_faces, build_loader
from datasets.swaps import Swaps
from datasets.synthetic import render, sample_attributes, sample_identity
from datasets.transforms import Augmentation, face_frame
from experiments.evaluation.metrics.distribution import Moments, frechet_distance
from models.image_io import open_image


class _Decoded(Dataset):
    """What is commonly done: each JPEG file decoded and scaled by PIL, flipped, turned into a tensor, normalized."""

    def __init__(self, faces: Faces, size: int):
        self.paths = [faces.path(i) for i in range(len(faces))]
        self.transform = transforms.Compose([transforms.Resize((size, size)), transforms.RandomHorizontalFlip(),
                                             transforms.ToTensor(), transforms.Normalize([0.5] * 3, [0.5] * 3)])

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        with open_image(self.paths[index]) as image:
            return self.transform(image.convert('RGB'))


def write_drawn(folder: Path, count: int) -> Path:
    """`count` drawn faces as 178x218 JPEG files in a folder per person."""
    for i in range(count):
        drawn = render(sample_identity(0, i % 40), sample_attributes(0, i), 128).image
        path = folder / f'person_{i % 40:02d}' / f'{i:05d}.jpg'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(drawn).resize((218, 218), Image.Resampling.BICUBIC).crop((20, 0, 198, 218)).save(path, quality=90)
    return folder


def images_per_second(loader: DataLoader, images: Callable[[object], int], seconds: float) -> float:
    """Over at least `seconds`, after the workers have started."""
    batches = iter(loader)
    next(batches)
    count, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds:
        batch = next(batches, None)
        if batch is None:
            batches = iter(loader)
        else:
            count += images(batch)
    return count / passed


def loading_figures(
    name: str | None,
    root: Path | None,
    *,
    size: int = 128,
    workers: int = 2,
    batch: int = 64,
    seconds: float = 4.0,
    repeats: int = 3,
) -> dict[str, float]:
    """Images per second of decoding JPEG files and of the memory-mapped cache, both with random flips and into float batches;
    medians over `repeats` measured in turn. Without a name, 400 faces are drawn and written for the purpose."""
    with tempfile.TemporaryDirectory() as scratch:
        if name is None:
            name, root = 'folder', write_drawn(Path(scratch) / 'drawn', 400)
        faces = build_faces(name, root)
        start = time.perf_counter()
        packed = pack(faces, Path(scratch) / 'cache', face_frame(size), workers=workers)
        packing = time.perf_counter() - start
        flips = Augmentation(flip=0.5, affine=0.0, color=0.0)
        decoded = DataLoader(_Decoded(faces, size), batch, shuffle=True, num_workers=workers, persistent_workers=workers > 0,
                             drop_last=len(faces) >= batch)
        cached = build_loader(Swaps(packed, size, balanced=True, augmentation=flips), max(1, batch // 2), workers=workers)
        rates = np.array([(images_per_second(decoded, len, seconds),
                           images_per_second(cached, lambda pairs: 2 * len(pairs), seconds)) for _ in range(repeats)])
        return {'images': len(faces), 'seconds of packing': packing, 'decoded images/s': statistics.median(rates[:, 0]),
                'cached images/s': statistics.median(rates[:, 1]), 'ratio': statistics.median(rates[:, 1] / rates[:, 0])}


def frechet_figures(*, width: int, images: int, repeats: int) -> dict[str, float]:
    """Seconds of the Frechet distance by eigenvalues and by scipy's matrix square root, on the same features of fast falling
    spectrum, and the difference of the results; medians over `repeats`."""
    from scipy.linalg import sqrtm

    draw = torch.Generator().manual_seed(0)
    scale = torch.arange(1, width + 1).float().rsqrt()
    sets = [Moments(width), Moments(width)]
    for number, moments in enumerate(sets):
        moments.add(torch.randn(images, width, generator=draw) * scale * (1 + 0.1 * number) + 0.01 * number)
    first, second = (moments.covariance.numpy() for moments in sets)
    gap = float((sets[0].mean - sets[1].mean).square().sum()) + np.trace(first) + np.trace(second)

    def by_root() -> float:
        return float(gap - 2 * np.trace(sqrtm(first @ second)).real)

    seconds, results = {'eigenvalues': [], 'sqrtm': []}, {}
    for _ in range(repeats):
        for name, work in (('eigenvalues', lambda: frechet_distance(*sets)), ('sqrtm', by_root)):
            began = time.perf_counter()
            results[name] = work()
            seconds[name].append(time.perf_counter() - began)
    found = {f'seconds by {name}': statistics.median(values) for name, values in seconds.items()}
    return {**found, 'times faster': found['seconds by sqrtm'] / found['seconds by eigenvalues'],
            'distance': results['eigenvalues'], 'difference': abs(results['eigenvalues'] - results['sqrtm'])}


def rendering_figures(*, size: int, seconds: float, repeats: int) -> dict[str, float]:
    """Drawn faces per second on one core: the median and the best of the measurements."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    rates = []
    try:
        for _ in range(repeats):
            began, count = time.perf_counter(), 0
            while time.perf_counter() - began < seconds:
                render(sample_identity(0, count), sample_attributes(0, count), size)
                count += 1
            rates.append(count / (time.perf_counter() - began))
    finally:
        cv2.setNumThreads(threads)
    return {'drawn faces/s': statistics.median(rates), 'best': max(rates)}
