"""The networks that a swap is judged by: what lies on this machine, and a sentence for each that does not."""
from collections.abc import Callable, Set
from pathlib import Path

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
from models.perception.landmarks.onnx import PFLD, FSANet
from models.pose import fit_pose, frontal

_ZOO = 'identity-mobilefacenet'
_BEGAN_FROM = {'identity-caricature': _ZOO}  # who is fine-tuned judges only where asked for
_PARSED = 128  # least side in pixels of what the parser is shown


def here(name: str) -> bool:
    """Whether weights lie on this machine in a form that is read as it is."""
    found = weights.entry(name)
    readable = found.format in ('state dict', 'safetensors') and found.path.is_file()
    return readable or found.path.with_suffix('.safetensors').is_file()


def choose_embedder(trained_with: Set[str]) -> str | None:
    """An embedder that a run was not trained with, nor with one that began from it: the largest ArcFace that is here, else
    another one, the zoo's own last; None where there is none."""
    known = _origins(trained_with) | set(_BEGAN_FROM)
    candidates = [name for name in EMBEDDERS if name not in known and here(name)]
    order = list(EMBEDDERS)
    return max(candidates, key=lambda name: (name != _ZOO, name.startswith('arcface'), order.index(name)), default=None)


def _origins(names: Set[str]) -> set[str]:
    return {_BEGAN_FROM.get(name, name) for name in names}


def teachers(family: Family, looks: PerceptionConfig) -> set[str]:
    """Names of the embedders that a family learns from when it is trained with these networks."""
    names = {'id_encoder': looks.id_encoder, 'teacher': looks.teacher or looks.id_encoder}
    return {names[role] for role in family.training_embedders()}


class Judges:
    """What measures images (B,3,H,W) in [-1,1] in the template `face`.

    embedder: judge of identity by name; None takes one that the runs in `trained_with` (names of their identity encoders and
    teachers) have not learned from. causes: file of models.perception.causes, that of the zoo where None. names: measure -> what
    measures it. missing: measure -> why it is not measured.
    """

    def __init__(self, embedder: str | None = None, *, trained_with: Set[str] = frozenset(), parser: str = 'parsing-unet',
                 causes: str | Path | None = None, device: str | torch.device = 'cpu'):
        self.device, self.names, self.missing, self.notes = torch.device(device), {}, {}, []
        chosen = embedder or choose_embedder(trained_with)
        self.embedder = None if chosen is None else load_embedder(chosen).to(self.device)
        if chosen is None:
            self.missing['identity'] = (f'every embedder on this machine ({", ".join(sorted(trained_with))}) took part in the '
                                        'training: fetch another one (scripts/weights.py list) or ask for it with --judge NAME')
        else:
            self.names['identity'] = chosen
            if _origins({chosen}) & _origins(trained_with):
                which = 'which' if chosen in trained_with else 'a near relation of which'
                self.notes.append(f'identity is judged by {chosen}, with {which} the run was trained: such figures flatter it')
        self.parser = load_parser(parser).to(self.device)
        self.names['parsing'] = parser
        self.pose_network = self._optional('pose', 'fsanet-1x1 and fsanet-var', FSANet)
        if self.pose_network is None:
            self.names['pose'], _ = 'five points of the parsing map', self.missing.pop('pose')
        self.landmarks = self._optional('landmarks', 'pfld-68', PFLD)
        from models.perception.features.inception import load_inception  # with torchvision, which takes seconds to import
        from models.perception.features.lpips import load_lpips

        self.lpips = self._optional('lpips', 'alexnet and lpips-alex', lambda: load_lpips().to(self.device))
        self.inception = self._optional('inception', 'inception-fid', lambda: load_inception().to(self.device))
        file = causes or ('causes' in weights.TABLE and weights.path('causes'))
        self.causes = load_causes(file).to(self.device) if file else None
        if file:
            self.names['causes'] = weights.digest(Path(file))[:16]
        else:
            self.missing['causes'] = ('no reader of causes is here: train one (scripts/train_causes.py) and give it with '
                                      '--causes FILE')

    def _optional(self, measure: str, names: str, load: Callable):
        try:
            network = load()
        except weights.WeightsError:
            fetch = ' '.join(name for name in names.split(' and '))
            self.missing[measure] = f'the weights {names} are not here: run `python scripts/weights.py fetch {fetch}`'
            return None
        self.names[measure] = names
        return network

    @property
    def key(self) -> str:
        """What the figures depend on."""
        return ' '.join(f'{measure}={name}' for measure, name in sorted(self.names.items()))

    @torch.no_grad()
    def labels(self, images: Tensor) -> Tensor:
        """(B,3,H,W) -> (B,M,M) ids of PARTS, M at least 128: enlarged smoothly, small images show more of their parts."""
        if images.shape[-1] < _PARSED:
            images = F.interpolate(images, (_PARSED, _PARSED), mode='bicubic', antialias=True)
        return self.parser.labels(images)

    @torch.no_grad()
    def pose(self, images: Tensor, labels: Tensor) -> Tensor:
        """(B,3) yaw, pitch, roll in degrees; NaN where a part of the face does not show. labels: as `labels` finds them."""
        if self.pose_network is not None:
            return self.pose_network(images)
        points = part_points(labels).cpu()
        seen = torch.isfinite(points).all((1, 2))
        angles = torch.full((len(points), 3), float('nan'))
        if seen.any():
            angles[seen] = fit_pose(points[seen], MEAN_POINTS).angles
        return angles

    def upright(self, images: Tensor) -> Tensor | None:
        """(B,68,2) landmarks with the pose removed, or None."""
        return None if self.landmarks is None else frontal(self.landmarks(images), MEAN_FACE)

    @torch.no_grad()
    def identity(self, images: Tensor) -> Tensor | None:
        """(B,D) unit length on the CPU, or None."""
        return None if self.embedder is None else self.embedder(images).cpu()

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor | None:
        """(B,2048) of Inception on the CPU, or None."""
        return None if self.inception is None else self.inception(images).cpu()
