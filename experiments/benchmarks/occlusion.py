"""How much of what lies in front of a face a swap leaves as it is, measured on faces with rendered occluders."""
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datasets.loaders import build_faces
from datasets.synthetic import person, render, sample_attributes, sample_identity
from datasets.synthetic.occluders import OCCLUDERS, occlude
from datasets.synthetic.samples import to_tensor
from datasets.transforms import face_frame, into_frame
from models import geometry, weights
from models.base import Family, Perception
from models.batch import FACE_IDS, SwapBatch
from models.perception.build import PARSERS, PHOTO_PARSER, build_perception, load_parser
from models.perception.parsers.family import load_trained
from models.pipelines import occlusion
from models.registry import SWAPPER, load_family

CLEAR = 'nothing'
_SIDE = 128  # pixels in which faces are rendered and occluded


def _faces(name: str | None, root: Path | None, count: int, parser: nn.Module) -> Iterator[tuple]:
    """Test faces (S,S,3) uint8 in the template `face`, their landmarks (5,2) or None, and where the face is, (S,S) bool: known of
    synthetic faces, said by `parser` of others."""
    if name is None:
        for index in range(count):
            drawn = render(sample_identity(0, person('test', index)), sample_attributes(0, index), _SIDE)
            yield drawn.image, drawn.points, np.isin(drawn.parsing, FACE_IDS)
        return
    faces = build_faces(name, root, 'test')
    for index in np.linspace(0, len(faces) - 1, min(count, len(faces))).astype(int):
        image, _, points = faces.read(int(index))
        image, _, points = into_frame(image, None, points, faces.frame, face_frame(_SIDE))
        labels = parser(image[None].float() / 127.5 - 1).argmax(1)[0].numpy()
        yield image.permute(1, 2, 0).numpy(), None if points is None else points.numpy(), np.isin(labels, FACE_IDS)


def _swapped(family: Family, perception: Perception, targets: Tensor, points: np.ndarray | None, parsed: Tensor) -> Tensor:
    """Swaps to the identity of a synthetic face."""
    size = targets.shape[-1]
    source = to_tensor(render(sample_identity(0, person('test', 0)), sample_attributes(0, 1), _SIDE).image)[None]
    landmarks = geometry.template('face').scaled(size).tensor() if points is None else torch.from_numpy(points).float()
    landmarks = landmarks if points is None else (landmarks + 0.5) * (size / _SIDE) - 0.5
    count = len(targets)
    batch = SwapBatch(F.interpolate(source, size).expand(count, -1, -1, -1), targets, torch.zeros(count, dtype=torch.bool),
                      source_embedding=perception.id_encoder(source).expand(count, -1),
                      target_landmarks=landmarks.expand(count, -1, -1), target_parsing=parsed.argmax(1))
    return family.generate(batch).clamp(-1, 1)


def _large(mask: np.ndarray) -> np.ndarray:
    return np.kron(mask, np.ones((occlusion.MASK_SIDE // _SIDE,) * 2, bool))


@torch.no_grad()
def occlusion_figures(name: str | None, root: Path | None, *, parser: str = PHOTO_PARSER, file: str | None = None,
                      images: int = 20, limits: list[tuple[float, float]] | None = None) -> dict[str, float]:
    """Precision, recall and IoU of the pixels of the face that keep the target, against those of a rendered occluder, by kind; of
    faces without one, the share that is lost; and milliseconds of a thread for the mask of a face, its swap's parsing included.

    name, root: a data set of faces, synthetic ones where None; parser: of PARSERS or a parser.safetensors; file: weights of a
    swapper (those of the zoo); limits: pairs of (min_bare, max_residual) to compare, those of models.pipelines.occlusion where
    None. ValueError where there are no faces.
    """
    truth = load_parser('parsing-unet')
    perception = build_perception('identity-mobilefacenet', None, None)
    perception.parser = load_parser(parser) if parser in PARSERS else load_trained(parser)
    family = load_family(Path(file) if file else weights.path(SWAPPER), perception)
    kinds, limits = [CLEAR, *OCCLUDERS], limits or [(occlusion.MIN_BARE, occlusion.MAX_RESIDUAL)]
    counts = {(limit, kind): np.zeros(4) for limit in limits for kind in kinds}
    spent = []
    for index, (image, points, face) in enumerate(_faces(name, root, images, truth)):
        rng = np.random.default_rng([1, index])
        shown = [(image, np.zeros(face.shape, bool)), *(occlude(image, kind, rng, points) for kind in OCCLUDERS)]
        details = torch.stack([to_tensor(np.ascontiguousarray(image)) for image, _ in shown])
        targets = F.interpolate(details, (family.config.size,) * 2, mode='bilinear', antialias=True)
        parsed = perception.parser(targets)
        swaps = _swapped(family, perception, targets, points, parsed)
        for limit in limits:
            began = time.thread_time()
            masks, _ = occlusion.face_masks(perception.parser, targets, swaps, parsed, details=details, min_bare=limit[0],
                                              max_residual=limit[1])
            spent.append(1000 * (time.thread_time() - began) / len(targets))
            for kind, mask, (_, hidden) in zip(kinds, masks[:, 0].numpy() > 0.5, shown):
                kept, hidden = ~mask[_large(face)], _large(hidden)[_large(face)]
                counts[limit, kind] += [(kept & hidden).sum(), (kept & ~hidden).sum(), (hidden & ~kept).sum(), len(kept)]
    figures = {}
    for limit in limits:
        title = '' if len(limits) == 1 else f'{limit[0]:g}, {limit[1]:g}: '
        figures[f'{title}lost without occluder'] = float(counts[limit, CLEAR][1] / counts[limit, CLEAR][3])
        for kind in OCCLUDERS:
            hit, wrong, missed, _ = counts[limit, kind]
            sums = {'precision': hit + wrong, 'recall': hit + missed, 'IoU': hit + wrong + missed}
            figures |= {f'{title}{kind}, {figure}': hit / max(total, 1) for figure, total in sums.items()}
    return figures | {'ms per face': statistics.median(spent)}
