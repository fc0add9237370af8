"""A face recognition network in training: margin head, distillation from a teacher, or both."""
import json
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import Parameter

from configs.base import needing
from configs.reading import parse_json, shown
from configs.renamed import renamed_metadata
from configs.resolve import checked
from models import geometry
from models.base import Family, FamilyConfig, Perception
from models.batch import FaceBatch
from models.convert import read_state
from models.losses.contrastive import photo_drawing
from models.perception.build import EMBEDDERS, file_of, published
from models.perception.encoders.embedder import Embedder
from models.perception.encoders.iresnet import DEPTHS, IResNet
from models.perception.encoders.margins import HardMarginHead, MarginHead
from models.perception.encoders.mobilefacenet import MobileFaceNet, MobileFaceNetInsight
from models.perception.encoders.sphereface import AngleLinear, SphereFace20, angle_loss
from models.precision import full_precision, normalized

_SPHEREFACE = {'scale': 127.5 / 128, 'bgr': True}

# name -> size, embedding -> network; template of its images; how it is fed (as models.perception.encoders.embedder.Embedder has
# it)
NETWORKS: dict[str, tuple[Callable[[int, int], nn.Module], str, dict]] = {
    'mobilefacenet': (lambda size, embedding: MobileFaceNet(embedding, size, size), 'arcface', {}),
    'mobilefacenet-96': (lambda size, embedding: MobileFaceNet(embedding), 'sphereface', {'scale': 127.5 / 128}),
    'mobilefacenet-insight': (lambda size, embedding: MobileFaceNetInsight(embedding), 'arcface', {}),
    **{f'iresnet{depth}': (partial(lambda depth, size, embedding: IResNet(depth, embedding), depth), 'arcface', {})
       for depth in DEPTHS},
    'sphere20': (lambda size, embedding: SphereFace20(None, embedding), 'sphereface', _SPHEREFACE),
}
# the networks of those of models.perception.build.EMBEDDERS that are not called by them
_KINDS = {'identity-mobilefacenet': 'mobilefacenet', 'identity-caricature': 'mobilefacenet',
          'mobilefacenet-068': 'mobilefacenet-96', 'sphere20a': 'sphere20'}
HEADS: dict[str, Callable[[int, int], nn.Module]] = {
    'arcface': partial(MarginHead, arc=0.5),
    'cosface': partial(MarginHead, cos=0.4),
    'arcface-hard': HardMarginHead,
    'asoftmax': AngleLinear,
}


class RecognizerConfig(FamilyConfig):
    """network: a name of NETWORKS; size: height of its images, 112 but for `mobilefacenet` (a multiple of 16). head and
    people: margin head and number of its classes. mixup: share of the images that are blended with another one of the batch, in
    shares drawn from Beta(0.8, 0.8); only a teacher can judge them (Beyer et al. 2022, section 3). weights: margin (cross
    entropy), distill (1 - cosine to the teacher), hints (mean square difference to the teacher's inner maps, the deepest aside,
    over their variance: Romero et al. 2015, eq. 3, without a regressor, as both networks are of one kind), contrast (between
    photos and drawings: models.losses.contrastive.photo_drawing). init: the published network or encoder file that it began from.
    trains: the `last` stage of the network, whose batch norms alone then follow the data, or `all` of it. distill_to: what the
    teacher answers to the image itself (`own`), or, for a drawing, on average to its person's photos of the batch (`photo`)."""

    size: int = 112
    weights: dict[str, float] = {'margin': 1.0, 'distill': 0.0, 'hints': 0.0, 'contrast': 0.0}
    network: Literal[tuple(NETWORKS)] = 'mobilefacenet'
    embedding: int = Field(128, ge=2)
    head: Literal[tuple(HEADS)] = 'arcface'
    people: int = Field(0, ge=0)
    mixup: float = Field(0.0, ge=0, le=1)
    init: str = ''
    trains: Literal['all', 'last'] = 'all'
    distill_to: Literal['own', 'photo'] = 'own'

    def networks(self) -> set[str]:
        return {'teacher'} if self.is_active('distill', 'hints') else set()

    def ignored(self) -> dict[str, str]:
        return {'people': 'the people of the data set are counted',
                **needing('a weight of margin', self.is_active('margin'), 'head'),
                **needing('a weight of distill', self.is_active('distill'), 'distill_to')}


def frame(config: RecognizerConfig) -> geometry.Template:
    """Where the face lies in the images of a FaceBatch; ValueError where the network cannot take images of that size."""
    template = geometry.template(NETWORKS[config.network][1])
    if config.network == 'mobilefacenet' and config.size % 16 == 0:
        return template.scaled(config.size)
    if config.size != template.height:
        raise ValueError(f'{config.network} takes no images of {config.size} pixels; use model.size={template.height}')
    return template


class Recognizer(Family):
    """Learns to tell people apart. Its images lie in `frame(config)`; perception.teacher gives the distillation target.

    In eval mode the margin loss is left out: the people of other partitions have no class. ValueError where the config asks
    for a loss that it gives no means for.
    """

    def __init__(self, config: RecognizerConfig, perception: Perception | None):
        super().__init__(config, perception)
        frame(config)
        build, self.template, feeding = NETWORKS[config.network]
        self.scale, self.bgr = feeding.get('scale', 1.0), feeding.get('bgr', False)
        self.network = build(config.size, config.embedding)
        if config.trains == 'last':
            for name, parameter in self.network.named_parameters():
                parameter.requires_grad_(parameter.requires_grad and name.startswith(self.network.last_stage))
        if self.is_active('margin'):
            if config.people < 2:
                raise ValueError('a margin needs at least 2 people to tell apart; set model.weights.margin=0 to train without')
            self.head = HEADS[config.head](config.embedding, config.people)
        self.taught = self.is_active('distill') or self.is_active('hints')
        if self.taught and perception is None:
            raise ValueError('distillation needs a teacher; name one or set model.weights.distill=0 and model.weights.hints=0')
        if self.is_active('hints') and not hasattr(self.network, 'head'):
            raise ValueError(f'{config.network} shows no inner maps; set model.weights.hints=0 or train a mobilefacenet')
        if config.mixup and self.is_active('margin'):
            raise ValueError('blended images show nobody, so a margin head cannot learn from them; set model.mixup=0')
        if config.mixup and (self.is_active('contrast') or config.distill_to == 'photo'):
            raise ValueError('blended images are neither photos nor drawings of somebody; set model.mixup=0')

    def param_groups(self) -> dict[str, list[Parameter]]:
        return {'encoder': [parameter for parameter in self.parameters() if parameter.requires_grad]}

    def train(self, mode: bool = True):
        """Batch norms of what is not trained go on with the statistics that they have."""
        super().train(mode)
        if self.config.trains == 'last':
            for name, module in self.network.named_modules():
                if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)) and not name.startswith(self.network.last_stage):
                    module.eval()
        return self

    def ema_modules(self) -> dict[str, nn.Module]:
        return {'network': self.network}

    def embed(self, images: Tensor) -> Tensor:
        """(B,3,H,W) RGB in [-1,1] -> (B,embedding), not normalized."""
        return self.network(self._fed(images))

    def _fed(self, images: Tensor) -> Tensor:
        return (images.flip(1) if self.bgr else images) * self.scale

    def forward(self, group: str, batch: FaceBatch, step: int, cache: dict) -> dict[str, Tensor]:
        images, maps = self._blended(batch.images) if self.training else batch.images, []
        if self.is_active('hints'):
            *maps, last = self.network.features(self._fed(images))
            embedding = self.network.head(last)
        else:
            embedding = self.embed(images)
        kinds = self.is_active('contrast') or self.taught and self.config.distill_to == 'photo'
        if kinds and batch.drawing is None and self.training:
            raise ValueError('the data set does not say which images are drawings; take webcaricature, or set '
                             'model.weights.contrast=0 and model.distill_to=own')
        losses = self._taught(images, embedding, maps, batch) if self.taught else {}
        if self.is_active('margin') and self.training:
            losses['margin'] = self._margin(embedding, batch.label, step)
        if self.is_active('contrast') and self.training:
            losses['contrast'] = photo_drawing(normalized(embedding), batch.label, batch.drawing)
        return losses

    def _blended(self, images: Tensor) -> Tensor:
        if not self.config.mixup:
            return images
        share = torch.distributions.Beta(0.8, 0.8).sample((len(images), 1, 1, 1)).to(images)
        share = torch.where(torch.rand_like(share) < self.config.mixup, share, 1.0)
        return share * images + (1 - share) * images[torch.randperm(len(images), device=images.device)]

    @torch.no_grad()
    def _answers(self, images: Tensor, count: int) -> tuple[Tensor, list[Tensor]]:
        teacher = self.perception.teacher
        if count:
            return teacher.embedding_and_maps(images, count, template=self.template)
        return teacher(images, template=self.template), []

    def _taught(self, images: Tensor, embedding: Tensor, maps: list[Tensor], batch: FaceBatch) -> dict[str, Tensor]:
        """The losses that compare with the teacher."""
        wanted, answers = self._answers(images, len(maps))
        if wanted.shape != embedding.shape:
            raise ValueError(f'the teacher embeds in {wanted.shape[1]} values; set model.embedding={wanted.shape[1]}')
        losses = {}
        if maps:
            losses['hints'] = torch.stack(
                [_relative_error(own, answer) for own, answer in zip(maps, answers, strict=True)]
            ).mean()
        if self.is_active('distill'):
            if self.config.distill_to == 'photo' and batch.drawing is not None:
                wanted, known = _of_photos(wanted, batch)
                embedding = embedding[known]
            losses['distill'] = (1 - F.cosine_similarity(embedding.float(), wanted)).sum() / max(1, len(wanted))
        return losses

    def _margin(self, embedding: Tensor, person: Tensor, step: int) -> Tensor:
        embedding = embedding.float()
        if self.config.head == 'asoftmax':
            return angle_loss(*self.head(embedding), person, step + 1)
        return F.cross_entropy(self.head(embedding, person), person)

    def panel(self, batch: FaceBatch) -> dict[str, Tensor]:
        return {'face': batch.images[:8]}


def _of_photos(answers: Tensor, batch: FaceBatch) -> tuple[Tensor, Tensor]:
    """Answers (B,D) of which those to drawings are replaced by the mean of those to photos of the person, and a mask (B,) of the
    images for which there is one: (N,D), (B,)."""
    photos = (~batch.drawing & (batch.label[:, None] == batch.label)).to(answers)  # (B,B)
    known = ~batch.drawing | photos.any(1)
    wanted = torch.where(batch.drawing[:, None], photos @ answers, answers)
    return wanted[known], known


@full_precision
def _relative_error(own: Tensor, answer: Tensor) -> Tensor:
    """Mean square difference of two maps, own (B,C,h,W) cut to answer (B,C,h,w), over the variance of the answer. Scalar."""
    return (_middle(own, answer) - answer).square().mean() / answer.var()


def _middle(own: Tensor, answer: Tensor) -> Tensor:
    """The columns of own (B,C,h,W) that answer (B,C,h,w) has, w <= W: the frames share their center line."""
    aside = (own.shape[3] - answer.shape[3]) // 2
    return own[..., aside:own.shape[3] - aside]


def encoder_bytes(recognizer: Recognizer, learned_from: Iterable[str] | None = None) -> bytes:
    """The network without head as a safetensors file that says what it is; its names are those of the published network.
    learned_from: the names of all people that it was ever trained on, None where nobody knows."""
    state = {name: value.detach().cpu().contiguous() for name, value in recognizer.network.state_dict().items()}
    people = None if learned_from is None else sorted(map(str, learned_from))
    return save(state, {'recognizer': recognizer.config.model_dump_json(), 'learned_from': json.dumps(people)})


def start(source: str) -> tuple[dict, dict[str, Tensor], list[str]]:
    """What a run begins from, a name of EMBEDDERS or an encoder file: settings of RecognizerConfig, named tensors, and whom it
    learned from (of most published networks nobody knows). ValueError where a file does not say; errors as for load_embedder."""
    if Path(source).is_file():
        config, known = _config(source), people_learned_from(source)
        if known is None:
            raise ValueError(f'{source} does not say whom it learned from; train it again')
        return config.model_dump(include={'network', 'size', 'embedding'}), read_state(Path(source)), known
    state = published(source).state_dict()
    kind = f'iresnet{source.rpartition("-r")[2]}' if source.startswith('arcface-') else _KINDS[source]
    return {'network': kind, 'size': 112, 'embedding': 128 if 'mobile' in kind else 512}, state, people_learned_from(source) or []


def _notes(path: str | Path) -> dict[str, str]:
    """What is written beside the tensors of a safetensors file; ValueError where it is none."""
    try:
        with safe_open(path, 'pt') as handle:
            return renamed_metadata(handle.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise ValueError(f'{path} cannot be read as safetensors ({shown(error)}); give the encoder.safetensors of a run'
                         ) from error


def _described(path: str | Path) -> dict[str, str]:
    """What a file of encoder_bytes says of itself; ValueError where it is none."""
    if 'recognizer' not in (notes := _notes(path)):
        raise ValueError(f'{path} does not say which network it holds; give an encoder.safetensors of a run')
    return notes


def _config(path: str | Path) -> RecognizerConfig:
    """The config in a file of encoder_bytes; ValueError where it is none."""
    return checked(RecognizerConfig, parse_json(_described(path)['recognizer'], f'the config in {path}'))


def people_learned_from(source: str | Path) -> list[str] | None:
    """The names of all people that an encoder file, or one of EMBEDDERS, was ever trained on, None where it does not say.
    ValueError as for load_encoder, errors as for load_embedder."""
    if source in EMBEDDERS and file_of(source).suffix != '.safetensors':
        return None
    notes = _notes(file_of(source)) if source in EMBEDDERS else _described(source)
    names = parse_json(notes.get('learned_from', 'null'), f'the list of people in {source}')
    if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise ValueError(f'{source} does not list the people that it learned from as names; train it again')
    return names


def load_encoder(path: str | Path) -> tuple[Embedder, str]:
    """A frozen embedder from a file of encoder_bytes, and the name of the template that it looks at. ValueError where the file
    is none."""
    config, state = _config(path), read_state(Path(path))
    build, template, feeding = NETWORKS[config.network]
    frame(config)
    try:
        network = build(config.size, config.embedding)
        network.load_state_dict(state)
    except RuntimeError as error:  # tensors of other names or shapes, or too large for the memory
        raise ValueError(f'{path} does not fit its own config ({shown(error)}); train it again') from error
    embedder = Embedder(network, template, **feeding)
    embedder.template = frame(config)
    return embedder, template
