"""The contract of a family: everything that the engine, the pipelines and the protocols know of a model."""
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from configs.base import Config
from models.batch import SwapBatch

Task = Literal['swap', 'translate', 'identity', 'parsing', 'causes']  # what a family is trained for
NOTE_EVERY = 20  # steps from one costly note of a family to the next


class FamilyConfig(Config):
    """What every family's config has; a family adds its own fields.

    size: side in pixels of the images it works in. weights: weight of each named loss; 0 switches a loss off and it
    is then not computed.
    """

    size: int = 64
    weights: dict[str, float] = {}

    def is_active(self, *losses: str) -> bool:
        """Whether one of the losses has a weight other than 0."""
        return any(self.weights.get(loss, 0) != 0 for loss in losses)

    def networks(self) -> set[str]:
        """The fields of Perception that a family of this config asks, in training or afterwards."""
        return set()


@dataclass
class Perception:
    """The frozen networks that look at faces. They are no submodules of a family (absent from its state_dict and from DDP).

    id_encoder: conditions the generator; (B,3,H,W) in [-1,1] -> (B,D) unit length.
    teacher: gives the identity loss its gradient; the same network as `id_encoder` unless the config names another one.
    parser: (B,3,H,W) in [-1,1] -> (B,19,H,W) logits of models.batch.PARTS.
    vgg: (B,3,H,W) in [-1,1], layer names -> layer name -> map.
    landmarks: (B,3,H,W) in [-1,1] -> (B,5,2) in eye distances.
    distillation_teacher: a trained family to learn from; a SwapBatch whose parsing and identities are given -> (B,3,H,W) in
    [-1,1].
    """

    id_encoder: nn.Module
    teacher: nn.Module
    parser: nn.Module | None = None
    vgg: nn.Module | None = None
    landmarks: nn.Module | None = None
    distillation_teacher: nn.Module | None = None

    def networks(self) -> set[nn.Module]:
        """Each network once."""
        return {self.id_encoder, self.teacher, self.parser, self.vgg, self.landmarks, self.distillation_teacher} - {None}

    def to(self, *args, **kwargs) -> 'Perception':
        """Module.to of every network, in place; returns self."""
        for network in self.networks():
            network.to(*args, **kwargs)
        return self


class Family(nn.Module):
    """Base of every model family. Images are float32 RGB (B,3,H,W) in [-1,1]; masks (B,1,H,W) in [0,1], 1 = face; an
    identity is (B,D), unit length. batch: the type of the batches that it is fed.
    task: what it is trained for; it decides which scripts and pages take the family."""

    task: ClassVar[Task]
    batch: type = SwapBatch

    def __init__(self, config: FamilyConfig, perception: Perception | None):
        super().__init__()
        self.config = config
        object.__setattr__(self, 'perception', perception)  # past nn.Module.__setattr__: frozen networks are no submodules
        self._notes: dict[str, Tensor] = {}

    def is_active(self, loss: str) -> bool:
        """Whether the loss has a weight other than 0."""
        return self.config.is_active(loss)

    def require(self, network: str, *losses: str) -> None:
        """ValueError where one of the losses has a weight and the run has not the frozen network that it asks."""
        wanted = [loss for loss in losses if self.is_active(loss)]
        if wanted and self.perception is not None and getattr(self.perception, network) is None:
            raise ValueError(f'the loss {wanted[0]} needs perception.{network}; name one, or set model.weights.{wanted[0]}=0')

    def training_embedders(self) -> set[str]:
        """Which embedders of the perception, `id_encoder` and `teacher`, teach it in training: no fair judges of it."""
        return {'id_encoder', 'teacher'}

    def note(self, **figures: Tensor) -> None:
        """Leave scalars of this forward for the journal: what is no loss but tells whether training goes well."""
        self._notes |= {name: value.detach() for name, value in figures.items()}

    def take_notes(self) -> dict[str, Tensor]:
        """What was noted since the last call."""
        notes, self._notes = self._notes, {}
        return notes

    def note_id_similarity(self, swap: Tensor, source: Tensor, batch) -> None:
        """Note `id_source` and `id_target`: the cosine of swaps of different people to either. swap, source: (B,D),
        by the teacher, which is asked for the targets as well; so not to be called at every step."""
        other = ~batch.same
        if other.any():
            with torch.no_grad():
                target = self.perception.teacher(batch.target[other])
            self.note(id_source=(swap * source).sum(1)[other].mean(), id_target=(swap[other] * target).sum(1).mean())

    def compile(self, **options) -> None:
        """torch.compile of the networks one by one: the loss around them is ordinary code, which depends on the step. The frozen
        networks of the perception stay as they are: compiled for a gradient to the image they are slower on a CPU."""
        for network in self.children():
            network.compile(**options)

    def param_groups(self) -> dict[str, list[Parameter]]:
        """Who is optimized, in the order of update: name -> parameters. GANs have two parameter groups."""
        raise TypeError(f'{type(self).__name__} does not say who its parameter groups are')

    def lr_scales(self) -> list[tuple[list[Parameter], float]]:
        """Parameters that learn at their parameter group's rate times a factor."""
        return []

    def forward(self, group: str, batch, step: int, cache: dict) -> dict[str, Tensor]:
        """Named, unweighted, scalar losses of one parameter group; the engine multiplies them by config.weights.

        cache: a dict that is empty when a step begins on a batch and is passed to each parameter group in turn, so that a
        discriminator reuses (detached) images that the generator has rendered."""
        raise TypeError(f'{type(self).__name__} has no loss')

    def generate(self, batch, *, generator=None) -> Tensor:
        """(B,3,H,W) in [-1,1], without gradient; `generator` (torch.Generator) makes what is random repeatable."""
        raise TypeError(f'{type(self).__name__} generates no image')

    def panel(self, batch) -> dict[str, Tensor]:
        """Images for the journal: column title -> (B,3,H,W) in [-1,1]."""
        return {'source': batch.source, 'target': batch.target, 'swap': self.generate(batch)}

    def ema_modules(self) -> dict[str, nn.Module]:
        """The modules that the exponential moving average follows; generate uses them."""
        return {}

    def memory(self) -> dict[str, Tensor]:
        """What training remembers beside the weights, such as past fakes: checkpoints hold it, for each process its own."""
        return {}

    def load_extra_state(self, memory: dict[str, Tensor]) -> None:
        """Take up what `memory` gave."""

    def after_update(self, group: str) -> None:
        """Called after each optimizer step of a parameter group, e.g. to clip a parameter."""
