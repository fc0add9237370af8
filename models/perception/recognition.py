"""A face recognition network in training: margin head, distillation from a teacher, or both."""
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import Parameter

from models import geometry
from models.base import Family, FamilyConfig, Perception
from models.batch import FaceBatch
from models.perception.embedder import Embedder
from models.perception.iresnet import DEPTHS, IResNet
from models.perception.margins import HardMarginHead, MarginHead
from models.perception.mobilefacenet import MobileFaceNet, MobileFaceNetInsight
from models.perception.sphereface import AngleLinear, SphereFace20, angle_loss

_SPHEREFACE = {'scale': 127.5 / 128, 'bgr': True}

# name -> size, embedding -> network; template of its pictures; how it is fed (as models.perception.embedder.Embedder has it)
NETWORKS: dict[str, tuple[Callable[[int, int], nn.Module], str, dict]] = {
    'mobilefacenet': (lambda size, embedding: MobileFaceNet(embedding, size, size), 'arcface', {}),
    'mobilefacenet-insight': (lambda size, embedding: MobileFaceNetInsight(embedding), 'arcface', {}),
    **{f'iresnet{depth}': (partial(lambda depth, size, embedding: IResNet(depth, embedding), depth), 'arcface', {})
       for depth in DEPTHS},
    'sphere20': (lambda size, embedding: SphereFace20(None, embedding), 'sphereface', _SPHEREFACE),
}
HEADS: dict[str, Callable[[int, int], nn.Module]] = {
    'arcface': partial(MarginHead, arc=0.5),
    'cosface': partial(MarginHead, cos=0.4),
    'arcface-hard': HardMarginHead,
    'asoftmax': AngleLinear,
}


class RecognizerConfig(FamilyConfig):
    """network: a name of NETWORKS; size: height of its pictures, 112 but for `mobilefacenet` (a multiple of 16). head and
    people: margin head and number of its classes. mixup: share of the pictures that are blended with another one of the batch, in
    shares drawn from Beta(0.8, 0.8); only a teacher can judge them (Beyer et al. 2022, section 3). weights: margin (cross
    entropy), distill (1 - cosine to the teacher), hints (mean square difference to the teacher's inner maps, the deepest aside,
    over their variance: Romero et al. 2015, eq. 3, without a regressor, as both networks are of one kind)."""

    size: int = 112
    weights: dict[str, float] = {'margin': 1.0, 'distill': 0.0, 'hints': 0.0}
    network: Literal[tuple(NETWORKS)] = 'mobilefacenet'
    embedding: int = Field(128, ge=2)
    head: Literal[tuple(HEADS)] = 'arcface'
    people: int = Field(0, ge=0)
    mixup: float = Field(0.0, ge=0, le=1)


def frame(config: RecognizerConfig) -> geometry.Template:
    """Where the face lies in the pictures of a FaceBatch; ValueError where the network cannot take pictures of that size."""
    template = geometry.template(NETWORKS[config.network][1])
    if config.network == 'mobilefacenet' and config.size % 16 == 0:
        return template.scaled(config.size)
    if config.size != template.height:
        raise ValueError(f'{config.network} takes no pictures of {config.size} pixels; use model.size={template.height}')
    return template


class Recognizer(Family):
    """Learns to tell people apart. Its pictures lie in `frame(config)`; perception.teacher gives the distillation target.

    In eval mode the margin term is left out: the people of other partitions have no class. ValueError where the config asks
    for a term that it gives no means for.
    """

    def __init__(self, config: RecognizerConfig, perception: Perception | None):
        super().__init__(config, perception)
        frame(config)
        build, self.template, feeding = NETWORKS[config.network]
        self.scale, self.bgr = feeding.get('scale', 1.0), feeding.get('bgr', False)
        self.network = build(config.size, config.embedding)
        if self.wants('margin'):
            if config.people < 2:
                raise ValueError('a margin needs at least 2 people to tell apart; set model.weights.margin=0 to train without')
            self.head = HEADS[config.head](config.embedding, config.people)
        self.taught = self.wants('distill') or self.wants('hints')
        if self.taught and perception is None:
            raise ValueError('distillation needs a teacher; name one or set model.weights.distill=0 and model.weights.hints=0')
        if self.wants('hints') and not hasattr(self.network, 'features'):
            raise ValueError(f'{config.network} shows no inner maps; set model.weights.hints=0 or train a mobilefacenet')
        if config.mixup and self.wants('margin'):
            raise ValueError('blended pictures show nobody, so a margin head cannot learn from them; set model.mixup=0')

    def players(self) -> dict[str, list[Parameter]]:
        return {'encoder': [parameter for parameter in self.parameters() if parameter.requires_grad]}

    def averaged(self) -> dict[str, nn.Module]:
        return {'network': self.network}

    def embed(self, pictures: Tensor) -> Tensor:
        """(B,3,H,W) RGB in [-1,1] -> (B,embedding), not normalised."""
        return self.network(self._fed(pictures))

    def _fed(self, pictures: Tensor) -> Tensor:
        return (pictures.flip(1) if self.bgr else pictures) * self.scale

    def forward(self, player: str, batch: FaceBatch, step: int) -> dict[str, Tensor]:
        pictures, maps = self._blended(batch.pictures) if self.training else batch.pictures, []
        if self.wants('hints'):
            *maps, last = self.network.features(self._fed(pictures))
            embedding = self.network.head(last)
        else:
            embedding = self.embed(pictures)
        terms = self._taught(pictures, embedding, maps) if self.taught else {}
        if self.wants('margin') and self.training:
            terms['margin'] = self._margin(embedding, batch.person, step)
        return terms

    def _blended(self, pictures: Tensor) -> Tensor:
        if not self.config.mixup:
            return pictures
        share = torch.distributions.Beta(0.8, 0.8).sample((len(pictures), 1, 1, 1)).to(pictures)
        share = torch.where(torch.rand_like(share) < self.config.mixup, share, 1.0)
        return share * pictures + (1 - share) * pictures[torch.randperm(len(pictures), device=pictures.device)]

    @torch.no_grad()
    def _answers(self, pictures: Tensor, count: int) -> tuple[Tensor, list[Tensor]]:
        teacher = self.perception.teacher
        if count:
            return teacher.identity_and_maps(pictures, count, template=self.template)
        return teacher(pictures, template=self.template), []

    def _taught(self, pictures: Tensor, embedding: Tensor, maps: list[Tensor]) -> dict[str, Tensor]:
        """The terms that compare with the teacher."""
        wanted, answers = self._answers(pictures, len(maps))
        if wanted.shape != embedding.shape:
            raise ValueError(f'the teacher embeds in {wanted.shape[1]} values; set model.embedding={wanted.shape[1]}')
        terms = {}
        if maps:
            terms['hints'] = torch.stack([(_middle(own, answer) - answer).square().mean() / answer.var()
                                          for own, answer in zip(maps, answers, strict=True)]).mean()
        if self.wants('distill'):
            terms['distill'] = 1 - F.cosine_similarity(embedding.float(), wanted).mean()
        return terms

    def _margin(self, embedding: Tensor, person: Tensor, step: int) -> Tensor:
        embedding = embedding.float()
        if self.config.head == 'asoftmax':
            return angle_loss(*self.head(embedding), person, step + 1)
        return F.cross_entropy(self.head(embedding, person), person)

    def panel(self, batch: FaceBatch) -> dict[str, Tensor]:
        return {'face': batch.pictures[:8]}


def _middle(own: Tensor, answer: Tensor) -> Tensor:
    """The columns of own (B,C,h,W) that answer (B,C,h,w) has, w <= W: the frames share their centre line."""
    aside = (own.shape[3] - answer.shape[3]) // 2
    return own[..., aside:own.shape[3] - aside]


def encoder_bytes(recognizer: Recognizer) -> bytes:
    """The network without head as a safetensors file that says what it is; its names are those of the published network."""
    state = {name: value.detach().cpu().contiguous() for name, value in recognizer.network.state_dict().items()}
    return save(state, {'recognizer': recognizer.config.model_dump_json()})


def load_encoder(path: str | Path) -> tuple[Embedder, str]:
    """A frozen embedder from a file of encoder_bytes, and the name of the template that it looks at. ValueError where the file
    is none."""
    try:
        with safe_open(path, 'pt') as handle:
            described = (handle.metadata() or {}).get('recognizer')
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ValueError(f'{path} cannot be read as safetensors ({error}); give an encoder.safetensors of a run') from error
    if described is None:
        raise ValueError(f'{path} does not say which network it holds; give an encoder.safetensors of a run')
    config = RecognizerConfig(**json.loads(described))
    build, template, feeding = NETWORKS[config.network]
    network = build(config.size, config.embedding)
    network.load_state_dict(state)
    embedder = Embedder(network, template, **feeding)
    embedder.template = frame(config)
    return embedder, template
