"""The contract of a model family: config, frozen networks, base class."""
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, overload

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import Parameter

from configs.base import Config
from models.batch import SwapBatch

Task = Literal['swap', 'translate', 'identity', 'parsing', 'causes']
METRICS_EVERY = 20  # steps between two records of metrics that cost an additional forward pass


class FamilyConfig(Config):
    """Fields of every family's config."""

    size: int = Field(64, description='side of the images in pixels')
    weights: dict[str, float] = Field({}, description='weight of each loss; a loss of weight 0 is not computed')

    def is_active(self, *losses: str) -> bool:
        """Whether any of the losses has a weight other than 0."""
        return any(self.weights.get(loss, 0) != 0 for loss in losses)

    def networks(self) -> set[str]:
        """The fields of Perception that a family of this config uses, in training or inference."""
        return set()


class EmbeddingNetwork(nn.Module):
    """Base of frozen identity encoders: images (B,3,H,W) in [-1,1] -> embeddings (B,D) of unit length."""

    def maps(self, images: Tensor, count: int, *, template: str = 'face') -> list[Tensor]:
        """The `count` finest feature maps (B,C,.,.) of images aligned to a template of models.geometry."""
        raise TypeError(f'{type(self).__name__} does not implement maps')

    def embedding_and_maps(self, images: Tensor, count: int, *, template: str = 'face',
                           jitter: float = 0.0) -> tuple[Tensor, list[Tensor]]:
        """Embeddings and `maps` in one pass. jitter: largest random shift, rotation and scaling of the images, as fractions."""
        raise TypeError(f'{type(self).__name__} does not implement embedding_and_maps')


class ParsingNetwork(nn.Module):
    """Base of frozen face parsers: images (B,3,H,W) in [-1,1] -> logits (B,19,H,W) of models.batch.PARTS."""

    def labels(self, images: Tensor) -> Tensor:
        """(B,3,H,W) in [-1,1] -> (B,H,W) int64 ids of PARTS."""
        return self(images).argmax(1)


@dataclass
class Perception:
    """Frozen networks that a family uses: no submodules of it, absent from its state_dict and from DDP.

    id_encoder: conditions the generator; (B,3,H,W) in [-1,1] -> (B,D) unit length. teacher: embedder of the identity and
    perceptual losses; the same network as `id_encoder` unless the config names another one. parser: (B,3,H,W) in [-1,1] ->
    (B,19,H,W) logits of models.batch.PARTS. vgg: (B,3,H,W) in [-1,1], layer names -> layer name -> feature map. landmarks:
    (B,3,H,W) in [-1,1] -> (B,5,2) in eye distances. distillation_teacher: a trained swap family; its `generate` takes a
    SwapBatch with parsing and source embedding. reverser: a trained swap family that renders the targets of reversed pairs.
    """

    id_encoder: EmbeddingNetwork
    teacher: EmbeddingNetwork
    parser: ParsingNetwork | None = None
    vgg: nn.Module | None = None
    landmarks: nn.Module | None = None
    distillation_teacher: 'Family | None' = None
    reverser: 'Family | None' = None

    def networks(self) -> set[nn.Module]:
        """Each network once."""
        networks = (self.id_encoder, self.teacher, self.parser, self.vgg, self.landmarks, self.distillation_teacher,
                    self.reverser)
        return {network for network in networks if network is not None}

    @overload
    def require(self, network: Literal['parser'], loss: str | None = None) -> ParsingNetwork: ...

    @overload
    def require(self, network: Literal['distillation_teacher', 'reverser'], loss: str | None = None) -> 'Family': ...

    @overload
    def require(self, network: str, loss: str | None = None) -> nn.Module: ...

    def require(self, network: str, loss: str | None = None) -> nn.Module:
        """The network of that name. Raises ValueError, which names the loss that needs the network, if it is None."""
        if getattr(self, network) is None:
            raise ValueError(f'the loss {loss} needs perception.{network}; name one, or set model.weights.{loss}=0' if loss else
                             f'this family needs perception.{network}; name one')
        return getattr(self, network)

    def to(self, *args: Any, **kwargs: Any) -> 'Perception':
        """Module.to of every network, in place; returns self."""
        for network in self.networks():
            network.to(*args, **kwargs)
        return self


class Family(nn.Module):
    """Base of every model family.

    Images are float32 RGB (B,3,H,W) in [-1,1]; masks are (B,1,H,W) in [0,1], 1 = face; identity embeddings are (B,D), unit
    length.

    task: what the family does, which selects the scripts and pages that use it. batch: type of its batches. config: a subclass
    declares the class of its own config.
    """

    task: ClassVar[Task]
    batch: type = SwapBatch
    config: FamilyConfig

    def __init__(self, config: FamilyConfig, perception: Perception | None):
        super().__init__()
        self.config = config
        self._perception = perception
        self._metrics: dict[str, Tensor] = {}

    @property
    def has_perception(self) -> bool:
        """Whether the family was built with frozen networks, not for its weights alone."""
        return self._perception is not None

    @property
    def perception(self) -> Perception:
        """The frozen networks. Raises ValueError if there are none."""
        if self._perception is None:
            raise ValueError('this family was built without the frozen networks of its perception')
        return self._perception

    def is_active(self, loss: str) -> bool:
        """Whether the loss has a weight other than 0."""
        return self.config.is_active(loss)

    def require(self, network: str, *losses: str) -> None:
        """Raises ValueError if one of the losses is active and the perception lacks the network that it needs."""
        if self.has_perception:
            for loss in filter(self.is_active, losses):
                self.perception.require(network, loss)

    def training_embedders(self) -> set[str]:
        """Embedders of the perception that are used in training, of `id_encoder` and `teacher`. Evaluation refuses them."""
        return self.config.networks() & {'id_encoder', 'teacher'}

    def log_metrics(self, **metrics: Tensor) -> None:
        """Record scalars of this forward pass, other than losses, for the journal."""
        self._metrics |= {name: value.detach() for name, value in metrics.items()}

    def pop_metrics(self) -> dict[str, Tensor]:
        """The scalars recorded since the last call."""
        metrics, self._metrics = self._metrics, {}
        return metrics

    def log_id_similarity(self, swap: Tensor, source: Tensor, batch: SwapBatch) -> None:
        """Record `id_source` and `id_target`, the mean cosines of swaps to source and target over pairs of different identities.

        swap, source: the teacher's embeddings, (B,D). The targets cost a pass of the teacher: see METRICS_EVERY.
        """
        different = ~batch.same
        if different.any():
            with torch.no_grad():
                target = self.perception.teacher(batch.target[different])
            self.log_metrics(id_source=(swap * source).sum(1)[different].mean(),
                             id_target=(swap[different] * target).sum(1).mean())

    def compile(self, **options: Any) -> None:
        """torch.compile of each submodule; options are those of torch.compile. The losses around them depend on the step and are
        not compiled; nor are the networks of the perception, which are slower on a CPU when compiled for a gradient to the
        image."""
        for network in self.children():
            network.compile(**options)

    def param_groups(self) -> dict[str, list[Parameter]]:
        """Disjoint groups of trainable parameters, one optimizer each, in order of update: name -> parameters."""
        raise TypeError(f'{type(self).__name__} defines no param_groups')

    def lr_scales(self) -> list[tuple[list[Parameter], float]]:
        """Parameters whose learning rate is their group's times a factor."""
        return []

    def forward(self, group: str, batch: Any, step: int, cache: dict) -> dict[str, Tensor]:
        """Named, unweighted, scalar losses of one parameter group; the engine multiplies them by config.weights.

        cache: empty at the start of a step and shared by the parameter groups of the step, so that the discriminator reuses the
        (detached) images that the generator has rendered.
        """
        raise TypeError(f'{type(self).__name__} defines no forward')

    def generate(self, batch: Any, *, generator: torch.Generator | None = None) -> Tensor:
        """(B,3,H,W) in [-1,1], without gradient. generator: source of all randomness."""
        raise TypeError(f'{type(self).__name__} defines no generate')

    def panel(self, batch: Any) -> dict[str, Tensor]:
        """Images for the journal: column title -> (B,3,H,W) in [-1,1]."""
        return {'source': batch.source, 'target': batch.target, 'swap': self.generate(batch)}

    def ema_modules(self) -> dict[str, nn.Module]:
        """Modules that `generate` uses, followed by an exponential moving average of their weights: name -> module."""
        return {}

    def adapted_state(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weights of the same networks at another image size, under the names of this family's."""
        return state

    def extra_state(self) -> dict[str, Tensor]:
        """Training state other than the weights, such as an image pool; checkpoints hold the state of each process."""
        return {}

    def load_extra_state(self, state: dict[str, Tensor]) -> None:
        """Restore the state of `extra_state`."""

    def after_update(self, group: str) -> None:
        """Hook after each optimizer step of a parameter group, such as clipping a parameter."""
