"""Face swapping in a photo: detection, alignment, embedding, generation and blending at full resolution."""
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models import geometry
from models.base import Family, Perception
from models.batch import SwapBatch
from models.images import from_signed, to_signed, to_tensor
from models.perception.detection import Detector, Face
from models.perception.detection.face import paired
from models.pipelines import blend, occlusion
from models.runtime.sessions import bf16_on_cpu

LARGEST, ALL = 'largest', 'all'  # choices of faces
SWAP_DESCRIPTION = 'faces were replaced by those of other people'  # of GenerationInfo
MIN_ID_SIMILARITY = 0.3  # smallest cosine of the embeddings of two faces of one identity


@dataclass(frozen=True)
class SwapResult:
    """A target with replaced faces.

    Attributes:
        image: (H,W,3) uint8 RGB.
        coverage: (H,W) float32 in [0,1], opacity of the generated faces.
        targets: the faces that were replaced.
        notes: sentences for the user.
    """

    image: np.ndarray
    coverage: np.ndarray
    targets: list[Face]
    notes: list[str]


@dataclass(frozen=True)
class AlignedFaces:
    """Aligned faces of one or more frames of a video.

    Attributes:
        crops: (B,3,S,S) in [-1,1] in the template `face`.
        points: landmarks (B,5,2) in pixels of the crops.
        reference_indices: of length B, the reference that each face matches; 0 without references.
    """

    crops: Tensor
    points: Tensor
    reference_indices: list[int]


# Faces -> generated faces (B,3,S,S) in [-1,1] and hard masks (B,1,M,M) in [0,1] of where they replace the crops.
FaceGenerator = Callable[[AlignedFaces], tuple[Tensor, Tensor]]


def choose(faces: list[Face], choice: str | int | None, image_name: str) -> list[Face]:
    """Select detected faces.

    Args:
        faces: largest first.
        choice: LARGEST, ALL, an index by size from 0, or None, which requires a single face.
        image_name: of the image in error messages.

    Raises:
        ValueError: there is no face, or the choice selects none.
    """
    if not faces:
        raise ValueError(f'no face was found in the {image_name}; turn the photo upright, give one of a face seen from the '
                         'front or try another detector')
    numbers = 'its number by size, 0' if len(faces) == 1 else f'its number by size, 0 (largest) to {len(faces) - 1}'
    if choice is None:
        if len(faces) > 1:
            raise ValueError(f'the {image_name} shows {len(faces)} faces; choose one: largest, or {numbers}')
        return faces
    if choice == ALL:
        return faces
    if choice == LARGEST:
        return faces[:1]
    if not str(choice).isdecimal() or int(choice) >= len(faces):
        raise ValueError(f'{choice!r} is no face of the {image_name}; give largest, or {numbers}')
    return [faces[int(choice)]]


def crop_face(photo: np.ndarray, points: np.ndarray, size: int, template: str = 'face') -> Tensor:
    """Align the face with landmarks (5,2) in (H,W,3) uint8 RGB to a template: (1,3,size,size) in [-1,1]. Outside the photo its
    border is replicated."""
    landmarks = torch.as_tensor(points, dtype=torch.float32)
    destination = geometry.template(template).scaled(size)
    corners = torch.tensor([[0.0, 0.0], [size, 0.0], [0.0, size], [size, size]])
    corners = geometry.apply(geometry.invert(geometry.align(landmarks, destination)), corners)
    margin = 4 + 4 * float((corners[1] - corners[0]).norm()) / size  # for the antialiasing filter
    height, width = photo.shape[:2]
    x0, y0 = (int(v) for v in (corners.amin(0) - margin).clamp(min=0))
    x1, y1 = (int(v) for v in corners.amax(0) + margin)
    x0, y0, x1, y1 = min(x0, width - 1), min(y0, height - 1), min(max(x1, x0 + 1), width), min(max(y1, y0 + 1), height)
    region = to_tensor(np.ascontiguousarray(photo[y0:y1, x0:x1]))[None]
    landmarks = landmarks - torch.tensor([x0, y0], dtype=torch.float32)
    return geometry.warp(region, geometry.align(landmarks, destination), (size, size)).clamp(-1, 1)  # (1,3,size,size)


class PhotoSwapper:
    """Base of the face swappers for photos: detects faces and selects sources and targets. Subclasses implement `embed` and
    `swap_faces`."""

    def __init__(self, detector: Detector):
        self.detector = detector

    def swap(self, source: np.ndarray, target: np.ndarray, *, source_face: str | int | None = None,
             target_face: str | int = LARGEST, reference: np.ndarray | None = None,
             generator: torch.Generator | None = None) -> SwapResult:
        """Replace faces of `target` by the face of `source`.

        Args:
            source, target: (H,W,3) uint8 RGB of any size.
            source_face: as `choose`, without ALL; None requires a single face.
            target_face: as `choose`.
            reference: photo of the identity to replace, instead of `target_face`.
            generator: of the family's noise.

        Raises:
            ValueError: a choice selects no face, or no face of the target matches the reference.
        """
        if source_face == ALL:
            raise ValueError('only one face can be the source; give largest or a number')
        selected_source, = choose(self.detector.detect(source), source_face, 'source')
        faces = self.detector.detect(target)
        notes = []
        if reference is not None:
            target_faces = [face for face, _ in self.match_references(target, choose(faces, ALL, 'target'), [reference])]
            if not target_faces:
                raise ValueError('no face in the target matches the reference; give another photo of that identity, or '
                                 'the number of the face')
        else:
            target_faces = choose(faces, target_face, 'target')
            if target_face == LARGEST and len(faces) > 1:
                notes.append(f'the target shows {len(faces)} faces; the largest was used')
        image, coverage, swap_notes = self.swap_faces(source, selected_source, target, target_faces, generator=generator)
        return SwapResult(image, coverage, target_faces, notes + swap_notes)

    def swap_identities(self, target: np.ndarray, pairs: list[tuple[np.ndarray, np.ndarray]], *,
                        generator: torch.Generator | None = None) -> SwapResult:
        """Replace several identities of `target` by a source each; other faces are not changed.

        Args:
            target: (H,W,3) uint8 RGB of any size.
            pairs: reference photo of an identity in the target, and source photo; the largest face of each counts.
            generator: of the family's noise.

        Returns:
            The result; a note names each reference that matches no face.

        Raises:
            ValueError: a photo has no face, or no reference matches.
        """
        faces = choose(self.detector.detect(target), ALL, 'target')
        matches = self.match_references(target, faces, [reference for reference, _ in pairs])
        if not matches:
            raise ValueError('no reference matches a face in the target; give other photos of these identities')
        matched = {index for _, index in matches}
        notes = [f'reference {index} of the list was not found in the target' for index in range(len(pairs))
                 if index not in matched]
        image, coverage = target, np.zeros(target.shape[:2], np.float32)
        for face, index in matches:
            source = pairs[index][1]
            source_face, = choose(self.detector.detect(source), LARGEST, f'source {index}')
            image, face_coverage, face_notes = self.swap_faces(source, source_face, image, [face], generator=generator)
            coverage, notes = np.maximum(coverage, face_coverage), notes + face_notes
        return SwapResult(image, coverage, [face for face, _ in matches], notes)

    def match_references(self, photo: np.ndarray, faces: list[Face], references: list[np.ndarray]) -> list[tuple[Face, int]]:
        """Match faces of a photo with the largest face of each reference photo.

        Returns:
            One-to-one matches (face, index of the reference) with a cosine of at least MIN_ID_SIMILARITY, most similar first.
        """
        embeddings = [self.embed(reference, choose(self.detector.detect(reference), LARGEST, f'reference {index}'))
                      for index, reference in enumerate(references)]
        id_similarity = (self.embed(photo, faces) @ torch.cat(embeddings).T).cpu().numpy()  # (faces,references)
        return [(faces[face], reference) for face, reference in paired(id_similarity, MIN_ID_SIMILARITY)]

    def embed(self, photo: np.ndarray, faces: list[Face]) -> Tensor:
        """Identity embeddings (N,D), unit length, of N faces of a photo."""
        raise TypeError(f'{type(self).__name__} does not implement embed')

    def swap_faces(self, source: np.ndarray, source_face: Face, target: np.ndarray, target_faces: list[Face], *,
                   generator: torch.Generator | None = None) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """`swap` with detected faces: image, coverage and notes of SwapResult."""
        raise TypeError(f'{type(self).__name__} does not implement swap_faces')


class FaceSwapper(PhotoSwapper):
    """Face swapper with a family of the suite.

    Args:
        family, perception: on `device`.
        detector: of faces.
        device: of the networks.
        color: match the colors of the swap to the target.
        upscale: applied to each generated face before pasting, (3,S,S) in [-1,1] -> (3,k*S,k*S), such as
            models.pipelines.upscaling.Upscaler.
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
    def swap_faces(self, source: np.ndarray, source_face: Face, target: np.ndarray, target_faces: list[Face], *,
                   generator: torch.Generator | None = None) -> tuple[np.ndarray, np.ndarray, list[str]]:
        targets = torch.cat([crop_face(target, face.points, self.size) for face in target_faces])
        points = torch.stack([torch.as_tensor(face.points, dtype=torch.float32) for face in target_faces])
        points = geometry.apply(geometry.align(points, geometry.template('face').scaled(self.size)), points)
        sources = crop_face(source, source_face.points, self.size).expand_as(targets)
        details = None
        if self.size < occlusion.DETAIL_SIDE:
            details = torch.cat([crop_face(target, face.points, occlusion.DETAIL_SIDE) for face in target_faces])
        embedding = self.embed(source, [source_face]).expand(len(targets), -1)
        swaps, masks, missed = self._generate(targets, points, sources, embedding, generator, details)
        masks = blend.soften(masks)
        image, coverage = target.copy(), np.zeros(target.shape[:2], np.float32)
        for index in reversed(range(len(target_faces))):  # the largest, which is nearest, last
            swap = swaps[index]
            if self.color:
                swap = _match_color(swap, targets[index], masks[index])
            swap = self.upscale(swap) if self.upscale else swap
            blend.paste(image, swap, masks[index], target_faces[index].points, coverage)
        notes = [f'the parser detected no face in face {index} of the target; the hull of its landmarks was used as the mask'
                 for index, hull in enumerate(missed) if hull]
        return image, coverage, notes

    def _generate(self, targets: Tensor, points: Tensor, sources: Tensor, embeddings: Tensor,
                  generator: torch.Generator | None = None,
                  details: Tensor | None = None) -> tuple[Tensor, Tensor, list[bool]]:
        """Swap aligned faces.

        Args:
            targets, sources: crops (B,3,S,S) in [-1,1].
            points: landmarks (B,5,2) in pixels of the targets.
            embeddings: identities (B,D) of the sources.
            generator: of the family's noise.
            details: as occlusion.face_masks.

        Returns:
            Swaps (B,3,S,S) in [-1,1] and the results of occlusion.face_masks, on the CPU.
        """
        targets, points, sources = (part.to(self.device) for part in (targets, points, sources))
        logits = None if self.perception.parser is None else self.perception.parser(targets)
        batch = SwapBatch(sources, targets, torch.zeros(len(targets), dtype=torch.bool, device=self.device),
                          source_embedding=embeddings, target_landmarks=points,
                          target_parsing=None if logits is None else logits.argmax(1))
        swaps = self.family.generate(batch, generator=generator).clamp(-1, 1)
        masks, missed = occlusion.face_masks(self.perception.parser, targets, swaps, logits, details=details)
        return swaps.float().cpu(), masks.float().cpu(), missed

    def face_generator(self, sources: list[tuple[np.ndarray, Face]]) -> FaceGenerator:
        """Generator for models.pipelines.video.engine: faces with the reference index r get the identity of sources[r], a photo
        (H,W,3) uint8 RGB and a face of it."""
        crops = torch.cat([crop_face(photo, face.points, self.size) for photo, face in sources])
        embeddings = torch.cat([self.embed(photo, [face]) for photo, face in sources])

        def generate_faces(faces: AlignedFaces) -> tuple[Tensor, Tensor]:
            indices = faces.reference_indices
            # bfloat16 is faster on processors with instructions for it; images for measurements use float32.
            half = self.device.type == 'cpu' and bf16_on_cpu()
            with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
                return self._generate(faces.crops, faces.points, crops[indices], embeddings[indices])[:2]

        return generate_faces


def _match_color(swap: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """blend.match_color for tensors (3,S,S) in [-1,1] and a mask (1,M,M)."""
    small = F.interpolate(mask[None], swap.shape[-2:], mode='bilinear', antialias=True)[0, 0].numpy()
    first, second = (from_signed(image, 'unit').permute(1, 2, 0).numpy() for image in (swap, target))
    return to_signed(torch.from_numpy(blend.match_color(first, second, small)).permute(2, 0, 1), 'unit')
