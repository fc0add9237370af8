"""A face recognition network in training: margin head, distillation from a teacher, or both."""
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

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
    people: margin head and number of its classes. weights: margin (cross entropy) and distill (1 - cosine to the teacher)."""

    size: int = 112
    weights: dict[str, float] = {'margin': 1.0, 'distill': 0.0}
    network: Literal[tuple(NETWORKS)] = 'mobilefacenet'
    embedding: int = Field(128, ge=2)
    head: Literal[tuple(HEADS)] = 'arcface'
    people: int = Field(0, ge=0)


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
        if self.wants('distill') and perception is None:
            raise ValueError('distillation needs a teacher; name one or set model.weights.distill=0')

    def players(self) -> dict[str, list[Parameter]]:
        return {'encoder': [parameter for parameter in self.parameters() if parameter.requires_grad]}

    def averaged(self) -> dict[str, nn.Module]:
        return {'network': self.network}

    def embed(self, pictures: Tensor) -> Tensor:
        """(B,3,H,W) RGB in [-1,1] -> (B,embedding), not normalised."""
        return self.network((pictures.flip(1) if self.bgr else pictures) * self.scale)

    def forward(self, player: str, batch: FaceBatch, step: int) -> dict[str, Tensor]:
        embedding = self.embed(batch.pictures)
        terms = {}
        if self.wants('margin') and self.training:
            terms['margin'] = self._margin(embedding, batch.person, step)
        if self.wants('distill'):
            wanted = self.perception.teacher(batch.pictures, template=self.template)
            if wanted.shape != embedding.shape:
                raise ValueError(f'the teacher embeds in {wanted.shape[1]} values; set model.embedding={wanted.shape[1]}')
            terms['distill'] = 1 - F.cosine_similarity(embedding.float(), wanted).mean()
        return terms

    def _margin(self, embedding: Tensor, person: Tensor, step: int) -> Tensor:
        embedding = embedding.float()
        if self.config.head == 'asoftmax':
            return angle_loss(*self.head(embedding), person, step + 1)
        return F.cross_entropy(self.head(embedding, person), person)

    def panel(self, batch: FaceBatch) -> dict[str, Tensor]:
        return {'face': batch.pictures[:8]}


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
