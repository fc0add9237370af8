"""Training of a face recognition network with a margin head, distillation from a teacher, or both."""
from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.nn import Parameter

from configs.base import needing
from models import geometry
from models.base import Family, FamilyConfig, Perception
from models.batch import FaceBatch
from models.images import SCALE_128
from models.losses.contrastive import photo_drawing
from models.perception.encoders.iresnet import DEPTHS, IResNet
from models.perception.encoders.margins import HardMarginHead, MarginHead
from models.perception.encoders.mobilefacenet import MobileFaceNet, MobileFaceNetInsight
from models.perception.encoders.network import EncoderNetwork, FeatureNetwork
from models.perception.encoders.sphereface import AngleLinear, SphereFace20, angle_loss
from models.precision import full_precision, normalized

_SPHEREFACE = {'scale': SCALE_128, 'bgr': True}

Architecture = Literal['mobilefacenet', 'mobilefacenet-96', 'mobilefacenet-insight', 'iresnet18', 'iresnet34', 'iresnet50',
                       'iresnet100', 'iresnet200', 'sphere20']
Head = Literal['arcface', 'cosface', 'arcface-hard', 'asoftmax']
# name -> size, embedding -> network; template of its images; keyword arguments of Embedder
NETWORKS: dict[str, tuple[Callable[[int, int], EncoderNetwork], str, dict]] = {
    'mobilefacenet': (lambda size, embedding: MobileFaceNet(embedding, size, size), 'arcface', {}),
    'mobilefacenet-96': (lambda size, embedding: MobileFaceNet(embedding), 'sphereface', {'scale': SCALE_128}),
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
    """Config of Recognizer.

    The losses of `weights` are margin (cross entropy of the head), distill (1 - cosine to the teacher's embedding), hints (mean
    squared difference to the teacher's feature maps, the deepest excluded, over their variance: Romero et al. 2015, eq. 3,
    without a regressor) and contrast (photos against drawings: models.losses.contrastive.photo_drawing).
    """

    size: int = Field(112, description='height of the images in pixels, 112, for mobilefacenet a multiple of 16')
    weights: dict[str, float] = {'margin': 1.0, 'distill': 0.0, 'hints': 0.0, 'contrast': 0.0}
    network: Architecture = Field('mobilefacenet', description='architecture, a name of NETWORKS')
    embedding: int = Field(128, ge=2, description='length of the embedding')
    head: Head = Field('arcface', description='margin head, a name of HEADS')
    num_identities: int = Field(0, ge=0, description='classes of the head; the identities of the data set are counted')
    mixup: float = Field(0.0, ge=0, le=1, description='fraction of the images blended with another of the batch by weights of '
                                                      'Beta(0.8, 0.8), for distillation (Beyer et al. 2022, section 3)')
    init: str = Field('', description='published network or encoder file with the initial weights')
    trains: Literal['all', 'last'] = Field('all', description='parameters to train: all, or those of the last stage; the batch '
                                                              'norms of the other stages then keep their statistics')
    distill_to: Literal['own', 'photo'] = Field('own', description="target of a drawing: the teacher's embedding of the image "
                                                                   'itself, or its mean over photos of the identity')

    def networks(self) -> set[str]:
        return {'teacher'} if self.is_active('distill', 'hints') else set()

    def ignored(self) -> dict[str, str]:
        return {'num_identities': 'the identities of the data set are counted',
                **needing('a weight of margin', self.is_active('margin'), 'head'),
                **needing('a weight of distill', self.is_active('distill'), 'distill_to')}


def frame(config: RecognizerConfig) -> geometry.Template:
    """Template of the images of a FaceBatch. Raises ValueError if the network does not take images of that size."""
    template = geometry.template(NETWORKS[config.network][1])
    if config.network == 'mobilefacenet' and config.size % 16 == 0:
        return template.scaled(config.size)
    if config.size != template.height:
        raise ValueError(f'{config.network} takes no images of {config.size} pixels; use model.size={template.height}')
    return template


class Recognizer(Family):
    """Face recognition. Images are aligned to `frame(config)`; perception.teacher computes the distillation target.

    The margin loss is computed in training mode only: identities of other partitions have no class. Raises ValueError for a loss
    whose requirements (classes, teacher, feature maps) are missing.
    """

    task = 'identity'
    batch = FaceBatch
    config: RecognizerConfig

    def __init__(self, config: RecognizerConfig, perception: Perception | None):
        super().__init__(config, perception)
        frame(config)
        build, self.template, preprocessing = NETWORKS[config.network]
        self.scale, self.bgr = preprocessing.get('scale', 1.0), preprocessing.get('bgr', False)
        self.network = build(config.size, config.embedding)
        if config.trains == 'last':
            for name, parameter in self.network.named_parameters():
                parameter.requires_grad_(parameter.requires_grad and name.startswith(self.network.last_stage))
        if self.is_active('margin'):
            if config.num_identities < 2:
                raise ValueError('a margin needs at least 2 identities; set model.weights.margin=0 to train without')
            self.head = HEADS[config.head](config.embedding, config.num_identities)
        self.is_distilled = self.is_active('distill') or self.is_active('hints')
        if self.is_distilled and perception is None:
            raise ValueError('distillation needs a teacher; name one or set model.weights.distill=0 and model.weights.hints=0')
        if self.is_active('hints') and not isinstance(self.network, FeatureNetwork):
            raise ValueError(f'{config.network} has no feature maps; set model.weights.hints=0 or train a mobilefacenet')
        if config.mixup and self.is_active('margin'):
            raise ValueError('blended images have no identity label for a margin head; set model.mixup=0')
        if config.mixup and (self.is_active('contrast') or config.distill_to == 'photo'):
            raise ValueError('blended images are neither photos nor drawings of an identity; set model.mixup=0')

    def param_groups(self) -> dict[str, list[Parameter]]:
        return {'encoder': [parameter for parameter in self.parameters() if parameter.requires_grad]}

    def train(self, mode: bool = True) -> 'Recognizer':
        """Batch norms outside the trained stage stay in eval mode."""
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
        return self.network(self._preprocessed(images))

    def _preprocessed(self, images: Tensor) -> Tensor:
        return (images.flip(1) if self.bgr else images) * self.scale

    def forward(self, group: str, batch: FaceBatch, step: int, cache: dict) -> dict[str, Tensor]:
        images = self._blended(batch.images) if self.training else batch.images
        maps: list[Tensor] = []
        if self.is_active('hints') and isinstance(self.network, FeatureNetwork):
            *maps, last = self.network.features(self._preprocessed(images))
            embedding = self.network.head(last)
        else:
            embedding = self.embed(images)
        needs_drawing = self.is_active('contrast') or self.is_distilled and self.config.distill_to == 'photo'
        if needs_drawing and batch.drawing is None and self.training:
            raise ValueError('the data set does not label drawings; use webcaricature, or set '
                             'model.weights.contrast=0 and model.distill_to=own')
        losses = self._distillation(images, embedding, maps, batch) if self.is_distilled else {}
        if self.is_active('margin') and self.training:
            losses['margin'] = self._margin(embedding, batch.label, step)
        if self.is_active('contrast') and self.training and batch.drawing is not None:
            losses['contrast'] = photo_drawing(normalized(embedding), batch.label, batch.drawing)
        return losses

    def _blended(self, images: Tensor) -> Tensor:
        if not self.config.mixup:
            return images
        weight = torch.distributions.Beta(0.8, 0.8).sample((len(images), 1, 1, 1)).to(images)
        weight = torch.where(torch.rand_like(weight) < self.config.mixup, weight, 1.0)
        return weight * images + (1 - weight) * images[torch.randperm(len(images), device=images.device)]

    @torch.no_grad()
    def _teacher_outputs(self, images: Tensor, count: int) -> tuple[Tensor, list[Tensor]]:
        teacher = self.perception.teacher
        if count:
            return teacher.embedding_and_maps(images, count, template=self.template)
        return teacher(images, template=self.template), []

    def _distillation(self, images: Tensor, embedding: Tensor, maps: list[Tensor], batch: FaceBatch) -> dict[str, Tensor]:
        """The losses `distill` and `hints`."""
        targets, teacher_maps = self._teacher_outputs(images, len(maps))
        if targets.shape != embedding.shape:
            width = targets.shape[1]
            raise ValueError(f'the embedding of the teacher has {width} values; set model.embedding={width}')
        losses = {}
        if maps:
            losses['hints'] = torch.stack(
                [_relative_error(*pair) for pair in zip(maps, teacher_maps, strict=True)]
            ).mean()
        if self.is_active('distill'):
            if self.config.distill_to == 'photo' and batch.drawing is not None:
                targets, has_target = _photo_targets(targets, batch.label, batch.drawing)
                embedding = embedding[has_target]
            losses['distill'] = (1 - F.cosine_similarity(embedding.float(), targets)).sum() / max(1, len(targets))
        return losses

    def _margin(self, embedding: Tensor, label: Tensor, step: int) -> Tensor:
        embedding = embedding.float()
        if self.config.head == 'asoftmax':
            cosine, psi = self.head(embedding)
            return angle_loss(cosine, psi, label, step + 1)
        return F.cross_entropy(self.head(embedding, label), label)

    def panel(self, batch: FaceBatch) -> dict[str, Tensor]:
        return {'face': batch.images[:8]}


def _photo_targets(teacher_embeddings: Tensor, label: Tensor, drawing: Tensor) -> tuple[Tensor, Tensor]:
    """Distillation targets (N,D) and the mask (B,) bool of the N images that have one: the teacher's embedding of a photo, and
    for a drawing the mean of those of the photos of its identity in the batch."""
    photos = (~drawing & (label[:, None] == label)).to(teacher_embeddings)  # (B,B)
    has_target = ~drawing | photos.any(1)
    targets = torch.where(drawing[:, None], photos @ teacher_embeddings, teacher_embeddings)
    return targets[has_target], has_target


@full_precision
def _relative_error(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of feature maps, (B,C,h,W) center-cropped to the teacher's (B,C,h,w), over the teacher's variance.
    Scalar."""
    return (_center_crop(student, teacher) - teacher).square().mean() / teacher.var()


def _center_crop(student: Tensor, teacher: Tensor) -> Tensor:
    """The central columns of (B,C,h,W) that the map (B,C,h,w) covers, w <= W."""
    margin = (student.shape[3] - teacher.shape[3]) // 2
    return student[..., margin:student.shape[3] - margin]
