"""The published SimSwap (Chen et al. 2020, arXiv:2106.06340) with the crops, normalization and pasting of its authors' code."""
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models import geometry, weights
from models.conversion.convert import read_state
from models.images import HALF_RANGE, from_signed, to_tensor
from models.perception.detection import Detector, Face
from models.perception.encoders.simswap_arcface import SimSwapArcFace
from models.perception.parsers.parser import FaceParser, face_mask
from models.pipelines import blend
from models.pipelines.photo import PhotoSwapper
from models.runtime.fusion import fused

# Landmarks of the left profile, left, frontal, right and right profile pose in a crop of 112 pixels.
_POSES = (((51.642, 50.115), (57.617, 49.990), (35.740, 69.007), (51.157, 89.050), (57.025, 89.702)),
          ((45.031, 50.118), (65.568, 50.872), (39.677, 68.111), (45.177, 86.190), (64.246, 86.758)),
          ((39.730, 51.138), (72.270, 51.138), (56.000, 68.493), (42.463, 87.010), (69.537, 87.010)),
          ((46.845, 50.872), (67.382, 50.118), (72.737, 68.111), (48.167, 86.758), (67.236, 86.190)),
          ((54.796, 49.990), (60.771, 50.115), (76.673, 69.007), (55.388, 89.702), (61.257, 89.050)))
# name -> templates; a face is aligned to the one that fits best
CROP_TEMPLATES = {
    'simswap-224': tuple(geometry.Template(224, 224, tuple((2 * x, 2 * y) for x, y in pose)) for pose in _POSES),
    'simswap-512': (geometry.template('ffhq'),),
}
_MIN_FACE_PX = 20  # area of a face in the parsed crop


def softening_kernel() -> Tensor:
    """Kernel (1,1,17,17) with the sum 1: the largest distance to the center minus the distance."""
    offset = torch.arange(17, dtype=torch.float32) - 8
    distance = torch.hypot(offset, offset[:, None])
    kernel = distance.max() - distance
    return (kernel / kernel.sum())[None, None]


def smooth_inwards(mask: Tensor) -> Tensor:
    """Smooth (B,1,H,W) in [0,1] seven times by `softening_kernel`; the first six times values may only decrease."""
    kernel = softening_kernel().to(mask)
    for _ in range(6):
        mask = torch.minimum(mask, F.conv2d(mask, kernel, padding=8))
    return F.conv2d(mask, kernel, padding=8)


def soft_mask(mask: Tensor) -> Tensor:
    """Soft mask of (B,1,H,W) in [0,1]: smoothed toward the inside; values of at least 0.9 become 1 and the others are scaled to a
    maximum of 1."""
    mask = smooth_inwards(mask)
    hard = mask >= 0.9
    rest = mask.masked_fill(hard, 0)
    return torch.where(hard, 1.0, rest / rest.amax((1, 2, 3), keepdim=True).clamp(min=1e-6))


def best_alignment(points: np.ndarray, templates: tuple[geometry.Template, ...]) -> Tensor:
    """Similarity (2,3) that maps landmarks (5,2) to the template with the least summed distance."""
    landmarks = torch.as_tensor(points, dtype=torch.float32)
    matrices = [geometry.align(landmarks, template) for template in templates]
    errors = [(geometry.apply(matrix, landmarks) - template.tensor()).norm(dim=1).sum()
              for matrix, template in zip(matrices, templates)]
    return matrices[int(torch.stack(errors).argmin())]


def border_alpha(matrix: np.ndarray, size: int, height: int, width: int) -> np.ndarray:
    """Opacity (height,width,1) in [0,1] of a square crop of `size` pixels in the image that `matrix` (2,3) maps to the crop: 1
    inside, decreasing to 0 at the border of the crop."""
    inside = cv2.warpAffine(np.full((size, size), 255, np.uint8), matrix, (width, height), flags=cv2.WARP_INVERSE_MAP)
    inside = np.where(inside > 20, 255, 0).astype(np.uint8)
    inside = cv2.erode(inside, np.ones((40, 40), np.uint8))
    return cv2.GaussianBlur(inside.astype(np.float32), (41, 41), 0)[..., None] / 255


class SimSwapper(PhotoSwapper):
    """Face swapper with the published SimSwap.

    Args:
        generate: target (B,3,S,S) in [-1,1], identity (B,512) -> swap (B,3,S,S), such as Generator.swap.
        encoder: identity encoder, on `device`.
        detector: of faces.
        templates: a value of CROP_TEMPLATES.
        device: of the networks.
        parser: on `device`; the swap is limited to the face that it segments. None to paste whole crops.
    """

    def __init__(self, generate: Callable[[Tensor, Tensor], Tensor], encoder: nn.Module, detector: Detector,
                 templates: tuple[geometry.Template, ...], *, device: str | torch.device = 'cpu',
                 parser: FaceParser | None = None):
        super().__init__(detector)
        self.generate, self.encoder, self.parser = generate, encoder, parser
        self.templates, self.device = templates, torch.device(device)

    def crop(self, photo: np.ndarray, points: np.ndarray) -> tuple[Tensor, np.ndarray]:
        """Align the face with landmarks (5,2) in (H,W,3) uint8 RGB: crop (1,3,S,S) in [-1,1], black outside the photo, and the
        matrix (2,3) of the alignment."""
        matrix, size = best_alignment(points, self.templates).numpy().astype(np.float64), self.templates[0].width
        crop = to_tensor(cv2.warpAffine(photo, matrix, (size, size)))[None]
        return crop.to(self.device), matrix

    def embed_crops(self, crops: Tensor) -> Tensor:
        """Identity embeddings (B,512), unit length, of (B,3,S,S) in [-1,1]."""
        return F.normalize(self.encoder(F.interpolate(from_signed(crops, 'imagenet'), (112, 112))), dim=1)

    @torch.no_grad()
    def embed(self, photo: np.ndarray, faces: list[Face]) -> Tensor:
        return self.embed_crops(torch.cat([self.crop(photo, face.points)[0] for face in faces]))

    def mask_swap(self, crop: Tensor, swap: Tensor) -> Tensor:
        """Blend `swap` over `crop`, both (1,3,S,S), inside the face that the parser segments in `crop`. Without a parser or a
        face, the swap is returned."""
        if self.parser is None:
            return swap
        logits = self.parser.network(F.interpolate(from_signed(crop, 'imagenet'), (512, 512)))[0]
        order = self.parser.order or range(logits.shape[1])
        face = face_mask(logits[:, list(order)].argmax(1))
        if face.sum() < _MIN_FACE_PX:
            return swap
        soft = soft_mask(F.interpolate(face, crop.shape[2:], mode='bilinear'))
        return swap * soft + crop * (1 - soft)

    @torch.no_grad()
    def swap_faces(self, source: np.ndarray, source_face: Face, target: np.ndarray, target_faces: list[Face], *,
                   generator: torch.Generator | None = None) -> tuple[np.ndarray, np.ndarray, list[str]]:
        embedding = self.embed(source, [source_face])
        image: np.ndarray = target.astype(np.float32)
        height, width = target.shape[:2]
        coverage = np.zeros((height, width), np.float32)
        for face in target_faces:
            crop, matrix = self.crop(target, face.points)
            swap = self.mask_swap(crop, self.generate(crop, embedding).to(crop))[0].permute(1, 2, 0)
            levels = (swap.float().cpu().numpy() + 1) * HALF_RANGE
            warped = cv2.warpAffine(levels, matrix, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
            alpha = border_alpha(matrix, len(levels), height, width)
            if blend.is_monochrome(target[alpha[..., 0] > 0][:, None]):
                warped = blend.to_gray(warped)
            image = alpha * warped + (1 - alpha) * image
            coverage = np.maximum(coverage, alpha[..., 0])
        return image.round().clip(0, 255).astype(np.uint8), coverage, []


def weight_files(name: str) -> list[Path]:
    """Files that a swapper reads: the converted generator or else the published archive, and the identity encoder."""
    return [weights.converted(name) or weights.path(name), weights.entry('simswap-arcface').path.with_suffix('.safetensors')]


def load_encoder() -> SimSwapArcFace:
    """The identity encoder with its published weights. Raises models.weights.MissingWeights if they are missing or not
    converted."""
    entry = weights.entry('simswap-arcface')
    converted = entry.path.with_suffix('.safetensors')
    if not converted.is_file():
        weights.path(entry.name)  # raises MissingWeights with the command that fetches the file
        raise weights.MissingWeights(f'{entry.path} is a pickled program: extract its tensors with '
                                     f'`python scripts/weights.py convert {entry.name} --unpickle`')
    return SimSwapArcFace.from_state_dict(read_state(converted))


def load_simswap(name: str, generate: Callable[[Tensor, Tensor], Tensor], detector: Detector, *,
                 device: str | torch.device = 'cpu', parser: FaceParser | None = None) -> SimSwapper:
    """A SimSwapper with the published encoder.

    Args:
        name: key of CROP_TEMPLATES.
        generate, detector, device, parser: as SimSwapper.
    """
    encoder = fused(load_encoder()).to(memory_format=torch.channels_last).to(device)
    return SimSwapper(generate, encoder, detector, CROP_TEMPLATES[name], device=device, parser=parser)
