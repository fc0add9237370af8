"""One photo in, one finished photo out: detect, align, embed, generate, blend back at full resolution."""
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models import geometry
from models.base import Family, Perception
from models.batch import SwapBatch
from models.perception.detection import Detector, Face
from models.pipelines import blend

LARGEST, ALL = 'largest', 'all'


@dataclass(frozen=True)
class Swapped:
    """picture (H,W,3) uint8 RGB, the target with its faces replaced; source and targets, the faces used; notes, sentences that
    the user should read."""

    picture: np.ndarray
    source: Face
    targets: list[Face]
    notes: list[str]


def choose(faces: list[Face], choice: str | int | None, what: str) -> list[Face]:
    """The faces meant by `largest`, `all`, a number (0 = largest) or None, which accepts nothing but a single face.

    what names the picture in messages. ValueError, one sentence, where no face is there or the choice fits none.
    """
    if not faces:
        raise ValueError(f'no face was found in the {what}; give a picture of a face seen from the front or try another detector')
    numbers = 'its number by size, 0' if len(faces) == 1 else f'its number by size, 0 (largest) to {len(faces) - 1}'
    if choice is None:
        if len(faces) > 1:
            raise ValueError(f'the {what} shows {len(faces)} faces; say which one is meant: largest, or {numbers}')
        return faces
    if choice == ALL:
        return faces
    if choice == LARGEST:
        return faces[:1]
    if not str(choice).isdecimal() or int(choice) >= len(faces):
        raise ValueError(f'{choice!r} is no face of the {what}; say largest, or {numbers}')
    return [faces[int(choice)]]


def crop_face(photo: np.ndarray, points: np.ndarray, size: int, template: str = 'face') -> Tensor:
    """(H,W,3) uint8 RGB and (5,2) landmarks -> (1,3,size,size) in [-1,1], the face where the template has it. What lies
    outside the photo repeats its border."""
    points = torch.as_tensor(points, dtype=torch.float32)
    own = geometry.template(template).scaled(size)
    corners = torch.tensor([[0.0, 0.0], [size, 0.0], [0.0, size], [size, size]])
    corners = geometry.apply(geometry.invert(geometry.align(points, own)), corners)
    room = 4 + 4 * float((corners[1] - corners[0]).norm()) / size  # for the antialiasing filter
    height, width = photo.shape[:2]
    x0, y0 = (int(v) for v in (corners.amin(0) - room).clamp(min=0))
    x1, y1 = (int(v) for v in corners.amax(0) + room)
    x0, y0, x1, y1 = min(x0, width - 1), min(y0, height - 1), min(max(x1, x0 + 1), width), min(max(y1, y0 + 1), height)
    region = torch.from_numpy(np.ascontiguousarray(photo[y0:y1, x0:x1])).permute(2, 0, 1)[None].float() / 127.5 - 1
    points = points - torch.tensor([x0, y0], dtype=torch.float32)
    return geometry.warp(region, geometry.align(points, own), (size, size)).clamp(-1, 1)  # (1,3,size,size)


class PhotoSwapper:
    """Finds faces in photos and says which are meant; how they are exchanged is for the subclasses to say."""

    def __init__(self, detector: Detector):
        self.detector = detector

    def swap(self, source: np.ndarray, target: np.ndarray, *, source_face: str | int | None = None,
             target_face: str | int = LARGEST, generator: torch.Generator | None = None) -> Swapped:
        """Put the face of `source` on `target`, both (H,W,3) uint8 RGB of any size.

        source_face: largest, a number, or None where one face is expected; target_face: largest, all or a number.
        ValueError, one sentence, as `choose`.
        """
        if source_face == ALL:
            raise ValueError('only one face can be the source; say largest or a number')
        giver, = choose(self.detector.detect(source), source_face, 'source')
        found = self.detector.detect(target)
        takers = choose(found, target_face, 'target')
        notes = []
        if target_face == LARGEST and len(found) > 1:
            notes.append(f'the target shows {len(found)} faces; the largest was taken')
        picture, more = self.exchange(source, giver, target, takers, generator=generator)
        return Swapped(picture, giver, takers, notes + more)

    def exchange(self, source: np.ndarray, giver: Face, target: np.ndarray, takers: list[Face], *,
                 generator: torch.Generator | None = None) -> tuple[np.ndarray, list[str]]:
        """`swap` with faces already found: the finished picture and the notes."""
        raise TypeError(f'{type(self).__name__} exchanges no faces')


class FaceSwapper(PhotoSwapper):
    """A family, the networks that look at faces and a detector, joined to swap faces in photos.

    device: where family and perception already are. colour: bring the swap into the tones of the target.
    """

    def __init__(self, family: Family, perception: Perception, detector: Detector, *, device: str | torch.device = 'cpu',
                 colour: bool = True):
        super().__init__(detector)
        self.family, self.perception = family, perception
        self.device, self.colour = torch.device(device), colour

    @torch.no_grad()
    def exchange(self, source: np.ndarray, giver: Face, target: np.ndarray, takers: list[Face], *,
                 generator: torch.Generator | None = None) -> tuple[np.ndarray, list[str]]:
        size = self.family.config.size
        targets = torch.cat([crop_face(target, face.points, size) for face in takers]).to(self.device)
        sources = crop_face(source, giver.points, size).to(self.device).expand_as(targets)
        identity = self.perception.identity(crop_face(source, giver.points, geometry.FACE_SIDE).to(self.device))
        points = torch.stack([torch.as_tensor(face.points, dtype=torch.float32) for face in takers])
        points = geometry.apply(geometry.align(points, geometry.template('face').scaled(size)), points).to(self.device)
        batch = SwapBatch(sources, targets, torch.zeros(len(targets), dtype=torch.bool, device=self.device),
                          source_identity=identity.expand(len(targets), -1), target_landmarks=points)
        swaps = self.family.generate(batch, generator=generator).clamp(-1, 1)
        masks, missed = blend.face_masks(self.perception.parser, targets, swaps)
        masks = blend.soften(masks).cpu()
        picture = target.copy()
        for index in reversed(range(len(takers))):  # the largest, which is nearest, last
            swap = swaps[index].float().cpu()
            if self.colour:
                swap = _matched(swap, targets[index].float().cpu(), masks[index])
            blend.paste(picture, swap, masks[index], takers[index].points)
        notes = [f'the parser saw no face region in face {index} of the target; the hull of its landmarks was blended instead'
                 for index, hull in enumerate(missed) if hull]
        return picture, notes


def _matched(swap: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """blend.match_colour for tensors (3,S,S) in [-1,1] and a mask (1,M,M)."""
    small = F.interpolate(mask[None], swap.shape[-2:], mode='bilinear', antialias=True)[0, 0].numpy()
    first, second = ((p.permute(1, 2, 0).numpy() + 1) / 2 for p in (swap, target))
    return torch.from_numpy(blend.match_colour(first, second, small)).permute(2, 0, 1) * 2 - 1
