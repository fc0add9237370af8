"""One photo in, one finished photo out: detect, align, embed, generate, blend back at full resolution."""
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models import geometry
from models.base import Family, Perception
from models.batch import SwapBatch
from models.perception.detection import Detector, Face
from models.perception.detection.face import paired
from models.pipelines import blend, occlusion
from models.runtime.sessions import bf16_on_cpu

LARGEST, ALL = 'largest', 'all'
SWAP_DESCRIPTION = 'faces were replaced by those of other people'  # for GenerationInfo
MIN_ID_SIMILARITY = 0.3  # cosine of two identities below which nobody is taken for the other


@dataclass(frozen=True)
class SwapResult:
    """image (H,W,3) uint8 RGB, the target with its faces replaced; cover (H,W) float32 in [0,1], how much of a pixel is made;
    targets, the faces that were replaced; notes, sentences that the user should read."""

    image: np.ndarray
    coverage: np.ndarray
    targets: list[Face]
    notes: list[str]


def choose(faces: list[Face], choice: str | int | None, what: str) -> list[Face]:
    """The faces meant by `largest`, `all`, a number (0 = largest) or None, which accepts nothing but a single face.

    what names the image in messages. ValueError, one sentence, where no face is there or the choice fits none.
    """
    if not faces:
        raise ValueError(f'no face was found in the {what}; turn the photo upright, give one of a face seen from the '
                         'front or try another detector')
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
    """Finds faces in photos and says which are meant; how they are embedded and exchanged is for the subclasses to say."""

    def __init__(self, detector: Detector):
        self.detector = detector

    def swap(self, source: np.ndarray, target: np.ndarray, *, source_face: str | int | None = None,
             target_face: str | int = LARGEST, reference: np.ndarray | None = None,
             generator: torch.Generator | None = None) -> SwapResult:
        """Put the face of `source` on `target`, both (H,W,3) uint8 RGB of any size.

        source_face: largest, a number, or None where one face is expected; target_face: largest, all or a number; like: instead,
        a photo of the person in the target who is meant. ValueError, one sentence, as `choose`, and where nobody is like that.
        """
        if source_face == ALL:
            raise ValueError('only one face can be the source; say largest or a number')
        giver, = choose(self.detector.detect(source), source_face, 'source')
        found = self.detector.detect(target)
        notes = []
        if reference is not None:
            takers = [face for face, _ in self.match_references(target, choose(found, ALL, 'target'), [reference])]
            if not takers:
                raise ValueError('nobody in the target is like the person of the reference; give another photo of that person, '
                                 'or say which face is meant by its number')
        else:
            takers = choose(found, target_face, 'target')
            if target_face == LARGEST and len(found) > 1:
                notes.append(f'the target shows {len(found)} faces; the largest was taken')
        image, cover, more = self.swap_faces(source, giver, target, takers, generator=generator)
        return SwapResult(image, cover, takers, notes + more)

    def swap_identities(self, target: np.ndarray, people: list[tuple[np.ndarray, np.ndarray]], *,
                    generator: torch.Generator | None = None) -> SwapResult:
        """Give each person his own source. people: photos of a person in the target, and of the one who takes his place; of each
        photo the largest face counts. Nobody else is changed. ValueError, one sentence, where a photo shows no face or none of
        the people is in the target; a note says who is not."""
        found = choose(self.detector.detect(target), ALL, 'target')
        matches = self.match_references(target, found, [reference for reference, _ in people])
        if not matches:
            raise ValueError('none of the people is in the target; give other photos of them')
        there = {person for _, person in matches}
        notes = [f'person {index} of the list was not found in the target' for index in range(len(people)) if index not in there]
        image, cover = target, np.zeros(target.shape[:2], np.float32)
        for face, person in matches:
            source = people[person][1]
            giver, = choose(self.detector.detect(source), LARGEST, f'source of person {person}')
            image, more, said = self.swap_faces(source, giver, image, [face], generator=generator)
            cover, notes = np.maximum(cover, more), notes + said
        return SwapResult(image, cover, [face for face, _ in matches], notes)

    def match_references(self, photo: np.ndarray, faces: list[Face], references: list[np.ndarray]) -> list[tuple[Face, int]]:
        """Which of the photo's faces is the largest one of each reference: (face, number of the reference), the surest first.
        No face and no reference twice, and none whose identity similarity is below MIN_ID_SIMILARITY."""
        known = [self.embed(reference, choose(self.detector.detect(reference), LARGEST, f'reference {index}'))
                 for index, reference in enumerate(references)]
        id_similarity = (self.embed(photo, faces) @ torch.cat(known).T).cpu().numpy()  # (faces,references)
        return [(faces[face], reference) for face, reference in paired(id_similarity, MIN_ID_SIMILARITY)]

    def embed(self, photo: np.ndarray, faces: list[Face]) -> Tensor:
        """Identities (N,D), unit length, of faces of a photo."""
        raise TypeError(f'{type(self).__name__} embeds no faces')

    def swap_faces(self, source: np.ndarray, giver: Face, target: np.ndarray, takers: list[Face], *,
                 generator: torch.Generator | None = None) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """`swap` with faces already found: the finished image, its cover and the notes."""
        raise TypeError(f'{type(self).__name__} exchanges no faces')


class FaceSwapper(PhotoSwapper):
    """A family, the networks that look at faces and a detector, joined to swap faces in photos.

    device: where family and perception already are. color: bring the swap into the tones of the target. upscale: what a made
    face (3,S,S) in [-1,1] goes through before it is put back, to (3,k*S,k*S), such as models.pipelines.upscaling.Upscaler.
    """

    def __init__(self, family: Family, perception: Perception, detector: Detector, *, device: str | torch.device = 'cpu',
                 color: bool = True, upscale: Callable[[Tensor], Tensor] | None = None):
        super().__init__(detector)
        self.family, self.perception, self.upscale = family, perception, upscale
        self.device, self.color, self.size = torch.device(device), color, family.config.size

    @torch.no_grad()
    def embed(self, photo: np.ndarray, faces: list[Face]) -> Tensor:
        crops = torch.cat([crop_face(photo, face.points, geometry.FACE_SIDE) for face in faces])
        return self.perception.id_encoder(crops.to(self.device))

    @torch.no_grad()
    def swap_faces(self, source: np.ndarray, giver: Face, target: np.ndarray, takers: list[Face], *,
                 generator: torch.Generator | None = None) -> tuple[np.ndarray, np.ndarray, list[str]]:
        targets = torch.cat([crop_face(target, face.points, self.size) for face in takers])
        points = torch.stack([torch.as_tensor(face.points, dtype=torch.float32) for face in takers])
        points = geometry.apply(geometry.align(points, geometry.template('face').scaled(self.size)), points)
        sources = crop_face(source, giver.points, self.size).expand_as(targets)
        details = None
        if self.size < occlusion.DETAIL_SIDE:
            details = torch.cat([crop_face(target, face.points, occlusion.DETAIL_SIDE) for face in takers])
        swaps, masks, missed = self._made(targets, points, sources, self.embed(source, [giver]).expand(len(targets), -1),
                                          generator, details)
        masks = blend.soften(masks)
        image, cover = target.copy(), np.zeros(target.shape[:2], np.float32)
        for index in reversed(range(len(takers))):  # the largest, which is nearest, last
            swap = swaps[index]
            if self.color:
                swap = _matched(swap, targets[index], masks[index])
            swap = self.upscale(swap) if self.upscale else swap
            blend.paste(image, swap, masks[index], takers[index].points, cover)
        notes = [f'the parser saw no face region in face {index} of the target; the hull of its landmarks was blended instead'
                 for index, hull in enumerate(missed) if hull]
        return image, cover, notes

    def _made(self, targets: Tensor, points: Tensor, sources: Tensor, identities: Tensor,
              generator: torch.Generator | None = None,
              details: Tensor | None = None) -> tuple[Tensor, Tensor, list[bool]]:
        """Crops (B,3,S,S) with their landmarks (B,5,2), and for each whom it is to show, as a crop and as an identity (B,D) ->
        swaps, and what occlusion.face_masks says, on the CPU."""
        targets, points, sources = (part.to(self.device) for part in (targets, points, sources))
        seen = None if self.perception.parser is None else self.perception.parser(targets)
        batch = SwapBatch(sources, targets, torch.zeros(len(targets), dtype=torch.bool, device=self.device),
                          source_embedding=identities, target_landmarks=points,
                          target_parsing=None if seen is None else seen.argmax(1))
        swaps = self.family.generate(batch, generator=generator).clamp(-1, 1)
        masks, missed = occlusion.face_masks(self.perception.parser, targets, swaps, seen, details=details)
        return swaps.float().cpu(), masks.float().cpu(), missed

    def face_generator(self, sources: list[tuple[np.ndarray, Face]]):
        """For models.pipelines.video.engine: makes faces with the role r look like the face sources[r] of a photo (H,W,3)."""
        crops = torch.cat([crop_face(photo, face.points, self.size) for photo, face in sources])
        identities = torch.cat([self.embed(photo, [face]) for photo, face in sources])

        def make(faces) -> tuple[Tensor, Tensor]:
            # Quicker where the processor has instructions for it; images for measuring are made in full precision.
            half = self.device.type == 'cpu' and bf16_on_cpu()
            with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
                return self._made(faces.crops, faces.points, crops[faces.roles], identities[faces.roles])[:2]

        return make


def _matched(swap: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """blend.match_color for tensors (3,S,S) in [-1,1] and a mask (1,M,M)."""
    small = F.interpolate(mask[None], swap.shape[-2:], mode='bilinear', antialias=True)[0, 0].numpy()
    first, second = ((p.permute(1, 2, 0).numpy() + 1) / 2 for p in (swap, target))
    return torch.from_numpy(blend.match_color(first, second, small)).permute(2, 0, 1) * 2 - 1
