"""Precision and recall of the pixels in front of a face that a swap keeps, on faces with rendered occluders."""
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datasets.registry import build_faces
from datasets.synthetic import identity_number, render, sample_attributes, sample_identity
from datasets.synthetic.occluders import OCCLUDERS, occlude
from datasets.transforms.joint import face_frame, into_frame
from models import geometry, weights
from models.base import Family, Perception
from models.batch import FACE_IDS, SwapBatch
from models.images import to_tensor
from models.perception.build import PARSERS, PHOTO_PARSER, build_perception, load_parser
from models.perception.parsers.family import load_trained
from models.pipelines import occlusion
from models.registry import SWAPPER, load_family

NO_OCCLUDER = 'nothing'
_SIDE_PX = 128  # side of the rendered and occluded faces


def _faces(name: str | None, root: Path | None, count: int,
           parser: nn.Module) -> Iterator[tuple[np.ndarray, np.ndarray | None, np.ndarray]]:
    """Test faces: images (S,S,3) uint8 in the template `face`, landmarks (5,2) or None, and face masks (S,S) bool.

    Masks of rendered faces are exact; those of other faces come from the label maps of the data set, whose faces all count, or
    else from `parser`.
    """
    if name is None:
        for index in range(count):
            face = render(sample_identity(0, identity_number('test', index)), sample_attributes(0, index), _SIDE_PX)
            yield face.image, face.points, np.isin(face.parsing, FACE_IDS)
        return
    faces = build_faces(name, root, 'all')
    faces = faces if faces.has_parsing else faces.partition('test')
    for index in np.linspace(0, len(faces) - 1, min(count, len(faces))).astype(int):
        image, labels, points = into_frame(*faces.read(int(index)), faces.frame, face_frame(_SIDE_PX))
        pixels = image.permute(1, 2, 0).numpy()
        if labels is None:
            labels = parser(to_tensor(pixels)[None]).argmax(1)[0]
        yield pixels, None if points is None else points.numpy(), np.isin(labels.numpy(), FACE_IDS)


def _swapped(family: Family, perception: Perception, targets: Tensor, points: np.ndarray | None, parsed: Tensor) -> Tensor:
    """Swaps of targets (B,3,S,S) to the identity of a rendered face: (B,3,S,S) in [-1,1].

    Args:
        points: landmarks (5,2) of the targets, or None for those of the template.
        parsed: parsing logits (B,19,S,S) of the targets.
    """
    size = targets.shape[-1]
    source = to_tensor(render(sample_identity(0, identity_number('test', 0)), sample_attributes(0, 1), _SIDE_PX).image)[None]
    landmarks = geometry.template('face').scaled(size).tensor() if points is None else torch.from_numpy(points).float()
    landmarks = landmarks if points is None else (landmarks + 0.5) * (size / _SIDE_PX) - 0.5
    count = len(targets)
    batch = SwapBatch(F.interpolate(source, size).expand(count, -1, -1, -1), targets, torch.zeros(count, dtype=torch.bool),
                      source_embedding=perception.id_encoder(source).expand(count, -1),
                      target_landmarks=landmarks.expand(count, -1, -1), target_parsing=parsed.argmax(1))
    return family.generate(batch).clamp(-1, 1)


def _enlarged(mask: np.ndarray) -> np.ndarray:
    """(S,S) bool -> (M,M) bool in the resolution of occlusion masks."""
    return np.kron(mask, np.ones((occlusion.MASK_SIDE // _SIDE_PX,) * 2, bool))


@torch.no_grad()
def occlusion_figures(name: str | None, root: Path | None, *, parser: str = PHOTO_PARSER, file: str | None = None,
                      images: int = 20, limits: list[tuple[float, float]] | None = None) -> dict[str, float]:
    """Precision, recall and IoU of the kept pixels of a face against those of a rendered occluder, by kind of occluder.

    Also the fraction of the face that is kept without an occluder, and the time in milliseconds, on one thread, for the mask of a
    face, including the parsing of its swap.

    Args:
        name: data set of faces; None for rendered faces.
        root: folder of the data set.
        parser: one of models.perception.build.PARSERS, or a parser.safetensors.
        file: weights of a swapper; None for those of the zoo.
        images: number of faces.
        limits: pairs of min_bare and max_residual to compare; None for those of models.pipelines.occlusion.

    Raises:
        ValueError: there are no faces.
    """
    reference_parser = load_parser('parsing-unet')
    perception = build_perception('identity-mobilefacenet', None, None)
    perception.parser = load_parser(parser) if parser in PARSERS else load_trained(parser)
    family = load_family(Path(file) if file else weights.path(SWAPPER), perception)
    kinds, limits = [NO_OCCLUDER, *OCCLUDERS], limits or [(occlusion.MIN_BARE_PROBABILITY, occlusion.MAX_RESIDUAL_LAB)]
    counts = {(limit, kind): np.zeros(4) for limit in limits for kind in kinds}
    milliseconds = []
    for index, (image, points, face) in enumerate(_faces(name, root, images, reference_parser)):
        rng = np.random.default_rng([1, index])
        samples = [(image, np.zeros(face.shape, bool)), *(occlude(image, kind, rng, points) for kind in OCCLUDERS)]
        details = torch.stack([to_tensor(np.ascontiguousarray(image)) for image, _ in samples])
        targets = F.interpolate(details, (family.config.size,) * 2, mode='bilinear', antialias=True)
        parsed = perception.parser(targets)
        swaps = _swapped(family, perception, targets, points, parsed)
        for limit in limits:
            start = time.thread_time()
            masks, _ = occlusion.face_masks(perception.parser, targets, swaps, parsed, details=details, min_bare=limit[0],
                                              max_residual=limit[1])
            milliseconds.append(1000 * (time.thread_time() - start) / len(targets))
            for kind, mask, (_, occluder) in zip(kinds, masks[:, 0].numpy() > 0.5, samples):
                kept, occluded = ~mask[_enlarged(face)], _enlarged(occluder)[_enlarged(face)]
                counts[limit, kind] += [(kept & occluded).sum(), (kept & ~occluded).sum(), (occluded & ~kept).sum(), len(kept)]
    figures = {}
    for limit in limits:
        title = '' if len(limits) == 1 else f'{limit[0]:g}, {limit[1]:g}: '
        figures[f'{title}lost without occluder'] = float(counts[limit, NO_OCCLUDER][1] / counts[limit, NO_OCCLUDER][3])
        for kind in OCCLUDERS:
            true_positives, false_positives, false_negatives, _ = counts[limit, kind]
            totals = {'precision': true_positives + false_positives, 'recall': true_positives + false_negatives,
                      'IoU': true_positives + false_positives + false_negatives}
            figures |= {f'{title}{kind}, {figure}': true_positives / max(total, 1) for figure, total in totals.items()}
    return figures | {'ms per face': statistics.median(milliseconds)}
