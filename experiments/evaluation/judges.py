"""Networks that compute the metrics. Metrics whose weights are not available are listed with the reason."""
from collections.abc import Callable, Set
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from configs.schema import PerceptionConfig
from datasets.synthetic.mean_face import MEAN_FACE, MEAN_POINTS
from experiments.evaluation.metrics.parts import part_points
from models import weights
from models.base import Family
from models.perception.build import EMBEDDERS, load_embedder, load_parser
from models.perception.causes import load_causes
from models.perception.features.efficientnet import LiteFeatures
from models.perception.landmarks.onnx import PFLD, FSANet
from models.pose import fit_pose, frontal

_ZOO = 'identity-mobilefacenet'
_INITIALIZED_FROM = {'identity-caricature': _ZOO}  # fine-tuned embedder -> its initialization; only chosen explicitly
MIN_PARSER_PX = 128  # minimum side of the input of the parser


def is_available(name: str) -> bool:
    """Whether weights are stored locally in a readable format."""
    entry = weights.entry(name)
    readable = entry.format in ('state dict', 'safetensors') and entry.path.is_file()
    return readable or entry.path.with_suffix('.safetensors').is_file()


def choose_embedder(trained_with: Set[str]) -> str | None:
    """Name of an available embedder that is independent of `trained_with`, or None.

    The largest ArcFace network is preferred, then others; the embedder of the zoo comes last.
    """
    excluded = _origins(trained_with) | set(_INITIALIZED_FROM)
    candidates = [name for name in EMBEDDERS if name not in excluded and is_available(name)]
    order = list(EMBEDDERS)
    return max(candidates, key=lambda name: (name != _ZOO, name.startswith('arcface'), order.index(name)), default=None)


def _origins(names: Set[str]) -> set[str]:
    """Names of the initializations."""
    return {_INITIALIZED_FROM.get(name, name) for name in names}


def teachers(family: Family, perception: PerceptionConfig) -> set[str]:
    """Names of the embedders that a family is trained with under this perception config."""
    names = {'id_encoder': perception.id_encoder, 'teacher': perception.teacher or perception.id_encoder}
    return {names[role] for role in family.training_embedders()}


class Judges:
    """Networks that measure images (B,3,H,W) in [-1,1] in the template `face`.

    Args:
        embedder: name of the embedder that measures identity; None for one that is independent of `trained_with`.
        trained_with: names of the embedders used in training.
        parser: name of the face parser.
        causes: weights of models.perception.causes; None for those of the zoo.

    Attributes:
        names: metric -> network.
        missing: metric -> reason why it is not measured.
        notes: remarks for the table.
    """

    def __init__(self, embedder: str | None = None, *, trained_with: Set[str] = frozenset(), parser: str = 'parsing-unet',
                 causes: str | Path | None = None, device: str | torch.device = 'cpu'):
        self.device = torch.device(device)
        self.names: dict[str, str] = {}
        self.missing: dict[str, str] = {}
        self.notes: list[str] = []
        chosen = embedder or choose_embedder(trained_with)
        self.embedder = None if chosen is None else load_embedder(chosen).to(self.device)
        if chosen is None:
            self.missing['identity'] = (f'every embedder on this machine ({", ".join(sorted(trained_with))}) was used in '
                                        'training: fetch another one (scripts/weights.py list) or choose one with --judge NAME')
        else:
            self.names['identity'] = chosen
            if _origins({chosen}) & _origins(trained_with):
                relation = 'which' if chosen in trained_with else 'whose initialization or fine-tuned form'
                self.notes.append(f'identity is measured by {chosen}, {relation} was used in training: its figures are biased')
        self.parser = load_parser(parser).to(self.device)
        self.names['parsing'] = parser
        self.pose_network = self._optional('pose', 'fsanet-1x1 and fsanet-var', FSANet)
        if self.pose_network is None:
            self.names['pose'], _ = 'five points of the parsing map', self.missing.pop('pose')
        self.landmarks = self._optional('landmarks', 'pfld-68', PFLD)
        from models.perception.features.inception import load_inception  # imports torchvision, which takes seconds
        from models.perception.features.lpips import load_lpips

        self.lpips = self._optional('lpips', 'alexnet and lpips-alex', lambda: load_lpips().to(self.device))
        self.inception = self._optional('inception', 'inception-fid', lambda: load_inception().to(self.device))
        self.lite = self._optional('lite0', 'efficientnet-lite0', lambda: LiteFeatures().to(self.device))
        file = causes or ('causes' in weights.TABLE and weights.path('causes'))
        self.causes = load_causes(file).to(self.device) if file else None
        if file:
            self.names['causes'] = weights.digest(Path(file))[:16]
        else:
            self.missing['causes'] = ('the cause regressor has no weights: train one (train.py --family causes) and select it '
                                      'with --causes FILE')

    def _optional(self, measure: str, names: str, load: Callable[[], Any]) -> Any | None:
        """The network of a metric, or None where its weights are not stored locally, with the reason in `missing`."""
        try:
            network = load()
        except weights.WeightsError:
            fetch = names.replace(' and ', ' ')
            self.missing[measure] = f'the weights {names} are not available: run `python scripts/weights.py fetch {fetch}`'
            return None
        self.names[measure] = names
        return network

    @property
    def key(self) -> str:
        """Text that identifies the networks that the metrics depend on."""
        return ' '.join(f'{measure}={name}' for measure, name in sorted(self.names.items()))

    @torch.no_grad()
    def labels(self, images: Tensor) -> Tensor:
        """(B,3,H,W) -> (B,M,M) label maps of PARTS with M >= MIN_PARSER_PX. Smaller images are upsampled."""
        if images.shape[-1] < MIN_PARSER_PX:
            images = F.interpolate(images, (MIN_PARSER_PX, MIN_PARSER_PX), mode='bicubic', antialias=True)
        return self.parser.labels(images)

    @torch.no_grad()
    def pose(self, images: Tensor, labels: Tensor) -> Tensor:
        """(B,3) yaw, pitch, roll in degrees; NaN where a part is not visible. labels: return value of `labels`."""
        if self.pose_network is not None:
            return self.pose_network(images)
        points = part_points(labels).cpu()
        visible = torch.isfinite(points).all((1, 2))
        angles = torch.full((len(points), 3), float('nan'))
        if visible.any():
            angles[visible] = fit_pose(points[visible], MEAN_POINTS).angles
        return angles

    def upright(self, images: Tensor) -> Tensor | None:
        """(B,68,2) landmarks rotated to a frontal pose, or None."""
        return None if self.landmarks is None else frontal(self.landmarks(images), MEAN_FACE)

    @torch.no_grad()
    def identity(self, images: Tensor) -> Tensor | None:
        """Unit embeddings (B,D) on the CPU, or None."""
        return None if self.embedder is None else self.embedder(images).cpu()

    @torch.no_grad()
    def lite_features(self, images: Tensor) -> Tensor | None:
        """EfficientNet-Lite0 features (B,496) on the CPU, or None."""
        return None if self.lite is None else self.lite(images).cpu()

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor | None:
        """Inception features (B,2048) on the CPU, or None."""
        return None if self.inception is None else self.inception(images).cpu()
