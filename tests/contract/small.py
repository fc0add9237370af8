"""Everything that can be trained, small: each family with all of its losses, each preset with its own, on random images."""
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.utils.data import Dataset

from configs.resolve import PRESETS, read_preset, resolve
from configs.schema import RunConfig
from datasets.loaders import build_loader
from experiments.training.engine import Engine
from experiments.training.fabric import build_fabric
from models.base import Family, FamilyConfig
from models.batch import COARSE, PARTS, CauseBatch, FaceBatch, PairBatch, ParsingBatch, SwapBatch
from models.perception.encoders.embedder import Embedder
from models.perception.encoders.family import frame
from models.perception.encoders.mobilefacenet import MobileFaceNet
from models.perception.landmarks.five_point import FiveLandmarks
from models.registry import family_entry, family_types
from tests.contract.stubs import IDENTITY, tiny_perception
from tests.contract.test_family import TINY

PRESET_NAMES = sorted(path.stem for path in PRESETS.glob('*.yaml'))
PEOPLE, CAUSES = 5, 4
# Widths, depths and counts of a preset's model by their names in any config; what is 0 there stays 0.
SMALL = {'width': 8, 'discriminator_width': 8, 'feature_width': 4, 'blocks': 1, 'decoder_blocks': 1, 'local_blocks': 1,
         'residuals': 1,
         'depth': 1, 'downs': 1, 'hidden': 8, 'mapping': 8, 'cap': 16, 'style': 8, 'latent': 4, 'background': 8, 'skip_width': 8,
         'fine': 8, 'patches': 8, 'discriminator_layers': 2, 'global_layers': 4, 'local_layers': 3, 'embedding': 16, 'tokens': 2,
         'levels': 2, 'size': 32, 'id_dim': IDENTITY}
# What is small in one family.
OWN = {'cgan': {'attention': (8,)}, 'cvae': {'discriminator': 8}, 'cut': {'features': 8, 'layers': (0, 4, 8)},
       'dtn': {'features': IDENTITY}, 'ugatit': {'pooled': 4}, 'cartoongan': {'initialization_steps': 0},
       'recognizer': {'size': 112},
       'causes': {'causes': CAUSES}}
FIXED = {'cyclegan-anime': {'size': 64}}  # what a preset's networks ask for
# Options of a family that no preset has and that compute something of their own.
OPTIONS = {'cvae': {'blend': 0.5}, 'ugatit': {'detached_background': True, 'blurred_negatives': True}}


def small_family(name: str) -> 'Small':
    """A family of the registry with every loss of its config and the OPTIONS switched on."""
    family, schema = family_types(name)
    model = schema(**{**TINY[name][0], **OPTIONS.get(name, {})})
    model = model.model_copy(update={'weights': {loss: model.weights.get(loss) or 0.1 for loss in schema().weights}})
    return Small(family, schema, TINY[name][1], resolve(name, model.model_dump(), {}, [], family_entry(name).data_section),
                 True)


def small_preset(name: str) -> 'Small':
    """A preset with its own losses and options."""
    settings = read_preset(name)
    kind = settings['family']
    family, schema = family_types(kind)
    config = resolve(kind, schema().model_dump(), settings, [], family_entry(kind).data_section)
    if kind == 'recognizer':
        config.model['num_identities'] = PEOPLE
    config.model.update(shrunk(config.model, {**SMALL, **OWN.get(kind, {}), **FIXED.get(name, {})}))
    return Small(family, schema, family.batch, config, False)


def shrunk(model: dict, small: dict) -> dict:
    """A model's settings with those of `small` in the place of larger ones, in sections too; `widths` keep their number."""
    def smaller(name: str, value):
        if isinstance(value, dict) and name != 'weights':
            return shrunk(value, small)
        if name == 'widths':
            return (8,) * len(value)
        return small[name] if name in small and value and not isinstance(value, (str, bool)) else value

    return {name: smaller(name, value) for name, value in model.items()}


@dataclass(frozen=True)
class Small:
    """What is built of a run, and of which batches it learns; labeled: whether those of swaps hold parsing labels."""

    family: type[Family]
    schema: type[FamilyConfig]
    batch: type
    config: RunConfig
    labeled: bool

    def build(self) -> Family:
        """The same weights at each call."""
        model = self.schema(**self.config.model)
        perception = tiny_perception(teacher_size=model.size)
        perception.landmarks = FiveLandmarks()
        if self.batch is FaceBatch:  # an encoder learns from one of its kind
            perception.teacher = Embedder(MobileFaceNet(model.embedding, 112, 96), 'sphereface')
        torch.manual_seed(0)
        return self.family(model, perception)

    def loader(self):
        """Endless batches of 4."""
        model = self.schema(**self.config.model)
        height = width = model.size
        if self.batch is FaceBatch:
            height, width = frame(model).height, frame(model).width
        return build_loader(RandomImages(self.batch, height, width, self.labeled), 4)

    def engine(self, folder: Path, **settings) -> Engine:
        """Ready to fit two steps, with one batch for validation; settings override EngineConfig."""
        engine = self.config.engine.model_copy(update={'steps': 2, 'log_every': 1, 'compile': False, **settings})
        config = self.config.model_copy(update={'engine': engine})
        held = [next(iter(self.loader()))]
        return Engine(config, self.build(), self.loader(), fabric=build_fabric(engine), folder=folder, validation=held)


class RandomImages(Dataset):
    """Samples of one kind of batch, a function of their keys alone. labeled: whether a swap knows its target's parts."""

    def __init__(self, kind: type, height: int, width: int, labeled: bool):
        self.kind, self.height, self.width, self.labeled = kind, height, width, labeled

    def __len__(self) -> int:
        return 8

    def __getitem__(self, key):
        epoch, index = key
        rng, side = torch.Generator().manual_seed(100 * epoch + index), self.height
        first, second = torch.rand(2, 3, side, self.width, generator=rng) * 2 - 1
        half, person = torch.tensor(index % 2 == 0), torch.tensor(index % PEOPLE)
        if self.kind is PairBatch:
            return PairBatch(first, second, half, person, person)
        if self.kind is FaceBatch:
            return FaceBatch(first, torch.tensor(index // 2 % 2), half)
        if self.kind is ParsingBatch:
            return ParsingBatch(first, *(torch.randint(len(of), (side, side), generator=rng) for of in (PARTS, COARSE)))
        if self.kind is CauseBatch:
            return CauseBatch(first, torch.rand(CAUSES, generator=rng) * 2 - 1)
        labels = None
        if self.labeled:
            labels = torch.zeros(side, side, dtype=torch.int64)
            labels[side // 4:-side // 4, side // 4:-side // 4] = 1
        identity = F.normalize(torch.randn(IDENTITY, generator=rng), dim=0)
        return SwapBatch(first, second, half, labels, identity, person, person,
                         target_landmarks=torch.rand(5, 2, generator=rng) * side)
