"""Faces with label maps, for the training and evaluation of face parsers.

The kind of a folder is determined by its contents:
    images/ masks/ index.csv   FASSEG: images/NAME.jpg, masks/NAME.png of ids of models.batch.COARSE; index.csv has the columns
                               name and split, and subset where there are several kinds of image
    labeled.npy               a cache with the labels of a teacher (datasets.preparation.pseudo_labels)
    CelebA-HQ-img/             CelebAMask-HQ
"""
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from configs.reading import read_rows
from datasets.celebamask import celebamask
from datasets.faces import PARTITIONS, BrokenImage, Faces, check_root, warn_once
from datasets.preparation.pseudo_labels import LABELED, LabeledFaces
from datasets.samples.swaps import Readable
from datasets.synthetic import SyntheticFaces
from datasets.synthetic.occluders import OCCLUDERS, occlude
from datasets.transforms.joint import MIRRORED, face_frame
from models import geometry
from models.batch import COARSE, IGNORED, PARTS, ParsingBatch
from models.image_io import ImageError, open_image
from models.images import to_tensor

SHARES = {'labels': 16, 'coarse': 6, 'synthetic': 4}  # relative frequency in training
_MAX_ATTEMPTS = 50  # unreadable images in a row before giving up
_EYES = {False: [PARTS.index('l_eye'), PARTS.index('r_eye')], True: [list(COARSE).index('eyes')]}
_MOUTH = {False: [PARTS.index(name) for name in COARSE['mouth']], True: [list(COARSE).index('mouth')]}
_MIRRORED = torch.from_numpy(MIRRORED).long()


class CoarseFaces(Faces):
    """Images with label maps in ids of COARSE."""

    has_parsing = True

    def read(self, index: int):
        path = self.path(index)
        return super().read(index)[0], _read_ids(path.parent.parent / 'masks' / f'{path.stem}.png'), None


def _read_ids(path: Path) -> np.ndarray:
    try:
        with open_image(path) as mask:
            ids = np.array(mask)
    except ImageError as error:
        raise BrokenImage(f'the mask {error}') from error
    if ids.ndim != 2 or ids.max() >= len(COARSE):
        raise BrokenImage(f'{path} is no map of the ids 0 to {len(COARSE) - 1}')
    return ids


def coarse_faces(root: Path) -> CoarseFaces:
    """The images whose masks have two eyes and a mouth, which alignment needs. Raises ValueError for a malformed index.csv."""
    rows = read_rows(root / 'index.csv', ('name', 'split'))
    if not rows or any(row['split'] not in PARTITIONS for row in rows):
        raise ValueError(f'{root / "index.csv"} needs the columns name and split, the latter one of {", ".join(PARTITIONS)}')
    whole = CoarseFaces(root / 'images', [f'{row["name"]}.jpg' for row in rows], [row['name'] for row in rows],
                        splits=np.array([PARTITIONS.index(row['split']) for row in rows], np.int8),
                        columns={'subset': np.array([row.get('subset', '') for row in rows])})
    masks = (_read_ids(root / 'masks' / f'{row["name"]}.png') for row in rows)
    kept = [index for index, mask in enumerate(masks) if centers(mask, True) is not None]
    if len(kept) < len(rows):
        warn_once(f'{root}: {len(rows) - len(kept)} of {len(rows)} images do not show two eyes and a mouth and are left out')
    if not kept:
        raise ValueError(f'no mask under {root} shows two eyes and a mouth; check that the ids are those of FASSEG')
    return whole.select(np.array(kept))


def centers(labels: np.ndarray, coarse: bool) -> np.ndarray | None:
    """(3,2): centers of the left eye, the right eye (the viewer's) and the mouth in a label map; None if one is missing."""
    unit = labels.shape[1] / 256
    _, _, stats, centroids = cv2.connectedComponentsWithStats(np.isin(labels, _EYES[coarse]).astype(np.uint8))
    area = stats[1:, cv2.CC_STAT_AREA]
    eyes = [1 + k for k in np.argsort(-area, kind='stable')[:2] if area[k] >= 8 * unit ** 2]
    mouth = np.argwhere(np.isin(labels, _MOUTH[coarse]))
    if len(eyes) < 2 or len(mouth) < 20 * unit ** 2:
        return None
    left, right = sorted((centroids[k] for k in eyes), key=lambda point: point[0])
    if right[0] - left[0] < 15 * unit:
        return None
    return np.stack([left, right, mouth.mean(0)[::-1]]).astype(np.float32)


class Labeled:
    """The images of a list of faces with label maps, aligned to the template `face` at `size` pixels.

    Alignment uses the frame of the list, or otherwise the centers of eyes and mouth. coarse: labels are ids of COARSE instead of
    PARTS. occluded: probability of a rendered occluder in an augmented sample.
    """

    def __init__(self, faces: Faces, size: int, *, coarse: bool, occluded: float = 0.0):
        self.readable, self.to, self.coarse, self.occluded = Readable(faces), face_frame(size), coarse, occluded
        eyes, corners = self.to.tensor()[:2], self.to.tensor()[3:]
        self._centers = torch.cat([eyes, corners.mean(0, keepdim=True)])

    def __len__(self) -> int:
        return len(self.readable.faces)

    def sample(self, index: int, rng: np.random.Generator | None = None) -> ParsingBatch | None:
        """A sample, augmented if rng is given; None if the image cannot be read or aligned."""
        if (read := self.readable.read(index)) is None:
            return None
        (image, labels, _), frame = read, self.readable.faces.frame
        if frame is not None:
            matrix = geometry.between(frame.scaled(labels.shape[1], labels.shape[0]), self.to)
        elif (points := centers(labels, self.coarse)) is not None:
            matrix = geometry.similarity(torch.from_numpy(points), self._centers)
        else:
            return None
        flip = False
        if rng is not None:
            flip, move = bool(rng.random() < 0.5), moved(rng, self.to.width)
            matrix = geometry.compose(mirrored(move, self.to.width) if flip else move, matrix)
        image, labels = place(image, labels, matrix, self.to.width)
        if flip and not self.coarse:
            labels = _MIRRORED[labels]
        return _sample(image, labels, self.coarse, rng, self.occluded)


class RenderedFaces:
    """Synthetic faces with their label maps."""

    coarse = False

    def __init__(self, partition: str, size: int, occluded: float = 0.0):
        self.faces, self.occluded = SyntheticFaces(partition, size), occluded

    def __len__(self) -> int:
        return len(self.faces)

    def sample(self, index: int, rng: np.random.Generator | None = None) -> ParsingBatch:
        face = self.faces[index]
        return _sample(face['image'], face['parsing'], False, rng, self.occluded)


def _sample(image: Tensor, labels: Tensor, coarse: bool, rng: np.random.Generator | None, occluded: float) -> ParsingBatch:
    if rng is not None:
        if occluded and rng.random() < occluded:
            image, labels = hidden(image, labels, coarse, rng)
        image = shaded(image, rng)
    ignored = torch.full_like(labels, IGNORED)
    return ParsingBatch(image, ignored, labels) if coarse else ParsingBatch(image, labels, ignored)


def hidden(image: Tensor, labels: Tensor, coarse: bool, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """An image (3,S,S) with a random rendered occluder, labeled `eye_g` if it is glasses and `background` otherwise."""
    kind = str(rng.choice(list(OCCLUDERS)))
    pixels = ((image.permute(1, 2, 0).numpy() + 1) * 127.5).round().clip(0, 255).astype(np.uint8)
    pixels, mask = occlude(pixels, kind, rng)
    part = PARTS.index('eye_g') if 'glasses' in kind and not coarse else 0
    return to_tensor(pixels), torch.where(torch.from_numpy(mask), part, labels)


def place(image: np.ndarray, labels: np.ndarray, matrix: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """(H,W,3) uint8 and (H,W) ids -> (3,size,size) in [-1,1] and (size,size) int64, IGNORED outside the label map."""
    image = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 127.5 - 1
    shifted = torch.from_numpy(labels)[None, None].float() + 1  # 0 is outside
    labels = geometry.warp(shifted, matrix, (size, size), mode='nearest', padding='zeros')[0, 0].long() - 1
    return geometry.warp(image, matrix, (size, size))[0], torch.where(labels < 0, IGNORED, labels)


def moved(rng: np.random.Generator, size: int) -> Tensor:
    """(2,3): a random rotation (7 degrees), scale (12 %) and shift (3 %) about the center; numbers are standard deviations."""
    angle, scale = 0.12 * rng.standard_normal(), np.exp(0.12 * rng.standard_normal())
    a, b, middle = scale * np.cos(angle), scale * np.sin(angle), (size - 1) / 2
    x, y = middle + size / 32 * rng.standard_normal(2)
    return torch.tensor([[a, -b, x - (a - b) * middle], [b, a, y - (a + b) * middle]], dtype=torch.float32)


def mirrored(matrix: Tensor, size: int) -> Tensor:
    """A (2,3) transform followed by a horizontal flip."""
    return geometry.compose(torch.tensor([[-1.0, 0.0, size - 1], [0.0, 1.0, 0.0]]), matrix)


def shaded(image: Tensor, rng: np.random.Generator) -> Tensor:
    """An image (3,H,W) with random brightness, contrast, color, resolution and noise, grayscale with probability 0.15."""
    light = 0.1 * rng.standard_normal((3, 1, 1)) + 0.25 * rng.standard_normal()
    image = image * float(np.exp(0.3 * rng.standard_normal())) + torch.as_tensor(light, dtype=torch.float32)
    if rng.random() < 0.15:
        image = image.mean(0, keepdim=True).expand_as(image)
    if rng.random() < 0.5:
        side = max(4, round(image.shape[-1] * rng.uniform(0.28, 0.86)))
        small = F.interpolate(image[None], size=side, mode='bilinear', antialias=True)
        image = F.interpolate(small, size=image.shape[1:], mode='bilinear')[0]
    noise = rng.standard_normal(image.shape, np.float32) * np.float32(0.05 * abs(rng.standard_normal()))
    return (image + torch.from_numpy(noise)).clamp(-1, 1)


class Mixed(Dataset):
    """ParsingBatch samples without the batch dimension, sampled from several sources with the probabilities `shares`.

    A key is an index or a pair (epoch, index); a sample depends only on the seed, the key and the files. varied: apply
    augmentation.
    """

    def __init__(self, sources: Sequence[Labeled | RenderedFaces], shares: Sequence[float], *, seed: int = 0,
                 varied: bool = True):
        self.sources, self.seed, self.varied = list(sources), seed, varied
        self._shares = np.array(shares) / sum(shares)

    def __len__(self) -> int:
        return sum(map(len, self.sources))

    def __getitem__(self, key: int | tuple[int, int]) -> ParsingBatch:
        epoch, index = key if isinstance(key, tuple) else (0, int(key))
        if not 0 <= index < len(self):
            raise IndexError(index)
        rng = np.random.default_rng([self.seed, epoch, index])
        source = self.sources[rng.choice(len(self.sources), p=self._shares)]
        for _ in range(_MAX_ATTEMPTS):
            if (sample := source.sample(int(rng.integers(len(source))), rng if self.varied else None)) is not None:
                return sample
        raise RuntimeError(f'none of {_MAX_ATTEMPTS} images under {source.readable.faces.root} could be read and framed; '
                           'check the disk or unpack the data again')


def open_faces(root: str | Path) -> tuple[Faces, bool]:
    """The faces of a folder, and whether their labels are coarse. Raises ValueError for an unknown kind of folder."""
    root = check_root(root)
    if (root / LABELED).is_file():
        return LabeledFaces(root), False
    if (root / 'index.csv').is_file() and (root / 'masks').is_dir():
        return coarse_faces(root), True
    if (root / 'CelebA-HQ-img').is_dir():
        return celebamask(root), False
    raise ValueError(f'{root} holds no images with label maps: give a folder that `prepare_data.py pseudo-labels` '
                     'wrote, one of CelebAMask-HQ, or one with images/, masks/ and index.csv')


def mixed(roots: Sequence[str | Path], size: int, *, partition: str = 'train', seed: int = 0, varied: bool = True,
          occluded: float = 0.0) -> Mixed:
    """Images of all folders and rendered faces, with the frequencies SHARES. varied and occluded are as in Mixed and Labeled.
    A folder without images of the partition is skipped; for the partition train this is an error."""
    sources, kinds = [RenderedFaces(partition, size, occluded)], ['synthetic']
    for root in roots:
        faces, coarse = open_faces(root)
        if partition == 'train' or (faces.splits == PARTITIONS.index(partition)).any():
            sources.append(Labeled(faces.partition(partition), size, coarse=coarse, occluded=occluded))
            kinds.append('coarse' if coarse else 'labels')
    total = {kind: sum(len(source) for source, its in zip(sources, kinds) if its == kind) for kind in kinds}
    shares = [SHARES[kind] * len(source) / total[kind] for source, kind in zip(sources, kinds)]
    return Mixed(sources, shares, seed=seed, varied=varied)


def by_subset(root: str | Path, size: int, partition: str = 'test') -> dict[str, Labeled]:
    """The images of a folder by the subsets of its index.csv, for evaluation; keys are the folder name and the subset."""
    faces, coarse = open_faces(root)
    faces, name = faces.partition(partition), Path(root).name
    subsets = faces.columns.get('subset', np.full(len(faces), ''))
    return {f'{name} {subset}'.strip(): Labeled(faces.select(subsets == subset), size, coarse=coarse)
            for subset in np.unique(subsets)}
