"""The published SimSwap (Chen et al. 2020) as its authors run it: their crops, their normalization, their way of pasting back."""
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models import geometry, weights
from models.images import from_signed
from models.perception.detection import Detector, Face
from models.perception.encoders.simswap_arcface import SimSwapArcFace
from models.perception.parsers.parser import FaceParser, face_mask
from models.pipelines import blend
from models.pipelines.photo import PhotoSwapper
from models.runtime.fusion import fused
from models.storage.convert import read_state

# Left profile, left, frontal, right and right profile in a crop of 112 pixels.
_POSES = (((51.642, 50.115), (57.617, 49.990), (35.740, 69.007), (51.157, 89.050), (57.025, 89.702)),
          ((45.031, 50.118), (65.568, 50.872), (39.677, 68.111), (45.177, 86.190), (64.246, 86.758)),
          ((39.730, 51.138), (72.270, 51.138), (56.000, 68.493), (42.463, 87.010), (69.537, 87.010)),
          ((46.845, 50.872), (67.382, 50.118), (72.737, 68.111), (48.167, 86.758), (67.236, 86.190)),
          ((54.796, 49.990), (60.771, 50.115), (76.673, 69.007), (55.388, 89.702), (61.257, 89.050)))
# name -> the framings of which a face gets the one that fits it best
CROP_TEMPLATES = {
    'simswap-224': tuple(geometry.Template(224, 224, tuple((2 * x, 2 * y) for x, y in pose)) for pose in _POSES),
    'simswap-512': (geometry.template('ffhq'),),
}
_LEAST = 20  # pixels of the parsed crop that a face must have


def softening_kernel() -> Tensor:
    """(1,1,17,17): the largest distance minus the distance to the center, as shares of 1."""
    near = torch.arange(17, dtype=torch.float32) - 8
    distance = torch.hypot(near, near[:, None])
    kernel = distance.max() - distance
    return (kernel / kernel.sum())[None, None]


def smooth_inwards(mask: Tensor) -> Tensor:
    """(B,1,H,W) in [0,1] -> the same shape, falling off inwards: seven times a wide cone, which at first may only lower it."""
    kernel = softening_kernel().to(mask)
    for _ in range(6):
        mask = torch.minimum(mask, F.conv2d(mask, kernel, padding=8))
    return F.conv2d(mask, kernel, padding=8)


def soft_mask(mask: Tensor) -> Tensor:
    """(B,1,H,W) in [0,1] -> the same shape: smooth_inwards; what is then nearly 1 becomes 1 and the rest is stretched to that."""
    mask = smooth_inwards(mask)
    hard = mask >= 0.9
    rest = mask.masked_fill(hard, 0)
    return torch.where(hard, 1.0, rest / rest.amax((1, 2, 3), keepdim=True).clamp(min=1e-6))


def framing(points: np.ndarray, framings: tuple[geometry.Template, ...]) -> Tensor:
    """(5,2) landmarks -> (2,3) similarity into the framing that they fit with the least summed distance."""
    here = torch.as_tensor(points, dtype=torch.float32)
    matrices = [geometry.align(here, template) for template in framings]
    errors = [(geometry.apply(matrix, here) - template.tensor()).norm(dim=1).sum()
              for matrix, template in zip(matrices, framings)]
    return matrices[int(torch.stack(errors).argmin())]


def border_alpha(matrix: np.ndarray, size: int, height: int, width: int) -> np.ndarray:
    """(height,width,1) in [0,1]: where a square crop of `size` pixels covers the frame that `matrix` (2,3) maps to it."""
    cover = cv2.warpAffine(np.full((size, size), 255, np.uint8), matrix, (width, height), flags=cv2.WARP_INVERSE_MAP)
    cover = np.where(cover > 20, 255, 0).astype(np.uint8)
    cover = cv2.erode(cover, np.ones((40, 40), np.uint8))
    return cv2.GaussianBlur(cover.astype(np.float32), (41, 41), 0)[..., None] / 255


class SimSwapper(PhotoSwapper):
    """generate: target (B,3,S,S) in [-1,1], identity (B,512) -> swap (B,3,S,S), such as Generator.swap. framings: of
    CROP_TEMPLATES.
    encoder and parser lie on `device`; where a parser is given, the swap shows only where it sees a face."""

    def __init__(self, generate: Callable[[Tensor, Tensor], Tensor], encoder: nn.Module, detector: Detector,
                 framings: tuple[geometry.Template, ...], *, device: str | torch.device = 'cpu',
                 parser: FaceParser | None = None):
        super().__init__(detector)
        self.generate, self.encoder, self.parser = generate, encoder, parser
        self.framings, self.device = framings, torch.device(device)

    def crop(self, photo: np.ndarray, points: np.ndarray) -> tuple[Tensor, np.ndarray]:
        """(H,W,3) uint8 and (5,2) landmarks -> crop (1,3,S,S) in [-1,1], black outside the photo, and its matrix (2,3)."""
        matrix, size = framing(points, self.framings).numpy().astype(np.float64), self.framings[0].width
        crop = torch.from_numpy(cv2.warpAffine(photo, matrix, (size, size)))
        return (crop.permute(2, 0, 1)[None].float() / 127.5 - 1).to(self.device), matrix

    def identity(self, crop: Tensor) -> Tensor:
        """(B,3,S,S) in [-1,1] -> (B,512), unit length."""
        return F.normalize(self.encoder(F.interpolate(from_signed(crop, 'imagenet'), (112, 112))), dim=1)

    @torch.no_grad()
    def embed(self, photo: np.ndarray, faces: list[Face]) -> Tensor:
        return self.identity(torch.cat([self.crop(photo, face.points)[0] for face in faces]))

    def covered(self, crop: Tensor, swap: Tensor) -> Tensor:
        """The swap inside what the parser sees as face in the target's crop, softly; all of it where it sees no face."""
        if self.parser is None:
            return swap
        logits = self.parser.network(F.interpolate(from_signed(crop, 'imagenet'), (512, 512)))[0]
        face = face_mask(logits[:, list(self.parser.order)].argmax(1))
        if face.sum() < _LEAST:
            return swap
        soft = soft_mask(F.interpolate(face, crop.shape[2:], mode='bilinear'))
        return swap * soft + crop * (1 - soft)

    @torch.no_grad()
    def swap_faces(self, source: np.ndarray, giver: Face, target: np.ndarray, takers: list[Face], *,
                 generator: torch.Generator | None = None) -> tuple[np.ndarray, np.ndarray, list[str]]:
        identity = self.embed(source, [giver])
        image, (height, width) = target.astype(np.float32), target.shape[:2]
        cover = np.zeros((height, width), np.float32)
        for face in takers:
            crop, matrix = self.crop(target, face.points)
            swap = self.covered(crop, self.generate(crop, identity).to(crop))[0].permute(1, 2, 0)
            swap = (swap.float().cpu().numpy() + 1) * 127.5
            back = cv2.warpAffine(swap, matrix, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
            alpha = border_alpha(matrix, len(swap), height, width)
            if blend.is_monochrome(target[alpha[..., 0] > 0][:, None]):
                back = blend.to_gray(back)
            image = alpha * back + (1 - alpha) * image
            cover = np.maximum(cover, alpha[..., 0])
        return image.round().clip(0, 255).astype(np.uint8), cover, []


def weight_files(name: str) -> list[Path]:
    """What is read: the converted generator where there is one, the published archive otherwise; the identity encoder."""
    return [weights.converted(name) or weights.path(name), weights.entry('simswap-arcface').path.with_suffix('.safetensors')]


def load_encoder() -> SimSwapArcFace:
    """The identity encoder with its published weights; models.weights.MissingWeights, one sentence, where they are missing or
    not yet converted."""
    found = weights.entry('simswap-arcface')
    converted = found.path.with_suffix('.safetensors')
    if not converted.is_file():
        weights.path(found.name)  # says how to fetch it
        raise weights.MissingWeights(f'{found.path} is a pickled program: take the tensors out of it with '
                                     f'`python scripts/weights.py convert {found.name} --unpickle`')
    return SimSwapArcFace.of(read_state(converted))


def load_simswap(name: str, generate: Callable[[Tensor, Tensor], Tensor], detector: Detector, *,
                 device: str | torch.device = 'cpu', parser: FaceParser | None = None) -> SimSwapper:
    """The published SimSwap by its name, a key of CROP_TEMPLATES, around its generator; its encoder is loaded."""
    encoder = fused(load_encoder()).to(device, memory_format=torch.channels_last)
    return SimSwapper(generate, encoder, detector, CROP_TEMPLATES[name], device=device, parser=parser)
