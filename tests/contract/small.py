"""Small runs on random images: each family with all of its losses, each preset with its own."""
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

from configs.resolve import PRESETS, read_preset, resolve
from configs.schema import RunConfig
from datasets.loaders import build_loader
from experiments.training.devices.fabric import build_fabric
from experiments.training.engine import Engine
from models.base import Family, FamilyConfig
from models.batch import COARSE, PARTS, CauseBatch, FaceBatch, PairBatch, ParsingBatch, SwapBatch
from models.perception.encoders.embedder import Embedder
from models.perception.encoders.family import frame
from models.perception.encoders.mobilefacenet import MobileFaceNet
from models.perception.landmarks.five_point import FiveLandmarks
from models.registry import GENERATORS, family_entry, family_types
from tests.contract.configs import TINY_CONFIGS
from tests.contract.stubs import ID_DIM, tiny_perception

PRESET_NAMES = sorted(path.stem for path in PRESETS.glob('*.yaml'))
RUNS = [*(f'family {name}' for name in GENERATORS), *(f'preset {name}' for name in PRESET_NAMES)]  # names of `small_run`
NUM_IDENTITIES, NUM_CAUSES = 5, 4
# Values of a preset's model by the name of the setting, in any family and section. A value of 0 in the preset stays 0.
SMALL_VALUES = {
    'width': 8, 'discriminator_width': 8, 'feature_width': 4, 'blocks': 1, 'decoder_blocks': 1, 'local_blocks': 1, 'residuals': 1,
    'depth': 1, 'downs': 1, 'hidden': 8, 'mapping': 8, 'cap': 16, 'style': 8, 'latent': 4, 'background': 8, 'skip_width': 8,
    'fine': 8, 'patches': 8, 'discriminator_layers': 2, 'global_layers': 4, 'local_layers': 3, 'embedding': 16, 'tokens': 2,
    'levels': 2, 'size': 32, 'id_dim': ID_DIM,
}
SMALL_VALUES_OF_FAMILY = {
    'cgan': {'attention': (8,)}, 'cvae': {'discriminator': 8}, 'cut': {'features': 8, 'layers': (0, 4, 8)},
    'dtn': {'features': ID_DIM}, 'ugatit': {'pooled': 4}, 'cartoongan': {'initialization_steps': 0}, 'recognizer': {'size': 112},
    'causes': {'causes': NUM_CAUSES},
}
SMALL_VALUES_OF_PRESET = {'cyclegan-anime': {'size': 64}}  # its networks have a fixed size
# Options that no preset sets and that add computations.
OPTIONS = {'cvae': {'blend': 0.5}, 'ugatit': {'detached_background': True, 'blurred_negatives': True}}


def small_run(name: str) -> 'SmallRun':
    """The run of a name in RUNS: 'family NAME' or 'preset NAME'."""
    kind, name = name.split()
    return small_family(name) if kind == 'family' else small_preset(name)


def small_family(name: str) -> 'SmallRun':
    """A family of the registry with all losses of its config and the OPTIONS."""
    family, schema = family_types(name)
    model = schema(**{**TINY_CONFIGS[name], **OPTIONS.get(name, {})})
    model = model.model_copy(update={'weights': {loss: model.weights.get(loss) or 0.1 for loss in schema().weights}})
    config = resolve(name, model.model_dump(), {}, [], family_entry(name).data_section)
    return SmallRun(family, schema, config, labeled=True)


def small_preset(name: str) -> 'SmallRun':
    """A preset with its own losses and options."""
    settings = read_preset(name)
    family_name = settings['family']
    family, schema = family_types(family_name)
    config = resolve(family_name, schema().model_dump(), settings, [], family_entry(family_name).data_section)
    if family_name == 'recognizer':
        config.model['num_identities'] = NUM_IDENTITIES
    config.model.update(shrunk(config.model, {**SMALL_VALUES, **SMALL_VALUES_OF_FAMILY.get(family_name, {}),
                                              **SMALL_VALUES_OF_PRESET.get(name, {})}))
    return SmallRun(family, schema, config, labeled=False)


def shrunk(model: dict[str, Any], small_values: dict[str, Any]) -> dict[str, Any]:
    """A model's settings with values of `small_values` where they are not 0, in sections too; `widths` keep their number."""
    def shrink(name: str, value: Any) -> Any:
        if isinstance(value, dict) and name != 'weights':
            return shrunk(value, small_values)
        if name == 'widths':
            return (8,) * len(value)
        return small_values[name] if name in small_values and value and not isinstance(value, (str, bool)) else value

    return {name: shrink(name, value) for name, value in model.items()}


@dataclass(frozen=True)
class SmallRun:
    """The parts of a run. labeled: whether swap batches hold parsing labels."""

    family: type[Family]
    schema: type[FamilyConfig]
    config: RunConfig
    labeled: bool

    def build(self) -> Family:
        """The family, with the same weights at each call."""
        model = self.schema(**self.config.model)
        perception = tiny_perception(teacher_size=model.size)
        perception.landmarks = FiveLandmarks()
        if self.family.batch is FaceBatch:  # distillation needs a teacher with the stages of a recognition network
            perception.teacher = Embedder(MobileFaceNet(model.embedding, 112, 96), 'sphereface')
        torch.manual_seed(0)
        return self.family(model, perception)

    def loader(self) -> DataLoader:
        """Endless batches of 4."""
        model = self.schema(**self.config.model)
        height = width = model.size
        if self.family.batch is FaceBatch:
            height, width = frame(model).height, frame(model).width
        return build_loader(RandomImages(self.family.batch, height, width, self.labeled), 4)

    def engine(self, folder: Path, **settings) -> Engine:
        """An engine for two steps, with one validation batch; settings override EngineConfig."""
        engine = self.config.engine.model_copy(update={'steps': 2, 'log_every': 1, 'compile': False, **settings})
        config = self.config.model_copy(update={'engine': engine})
        validation = [next(iter(self.loader()))]
        return Engine(config, self.build(), self.loader(), fabric=build_fabric(engine), folder=folder, validation=validation)


class RandomImages(Dataset):
    """Random samples of a type of batch; a sample depends on its key alone. labeled: whether swaps hold parsing labels."""

    def __init__(self, batch_type: type, height: int, width: int, labeled: bool):
        self.batch_type, self.height, self.width, self.labeled = batch_type, height, width, labeled

    def __len__(self) -> int:
        return 8

    def __getitem__(self, key):
        epoch, index = key
        rng, side = torch.Generator().manual_seed(100 * epoch + index), self.height
        first, second = torch.rand(2, 3, side, self.width, generator=rng) * 2 - 1
        same, identity_label = torch.tensor(index % 2 == 0), torch.tensor(index % NUM_IDENTITIES)
        if self.batch_type is PairBatch:
            return PairBatch(first, second, same, identity_label, identity_label)
        if self.batch_type is FaceBatch:
            return FaceBatch(first, torch.tensor(index // 2 % 2), same)
        if self.batch_type is ParsingBatch:
            labels = (torch.randint(len(classes), (side, side), generator=rng) for classes in (PARTS, COARSE))
            return ParsingBatch(first, *labels)
        if self.batch_type is CauseBatch:
            return CauseBatch(first, torch.rand(NUM_CAUSES, generator=rng) * 2 - 1)
        parsing = None
        if self.labeled:
            parsing = torch.zeros(side, side, dtype=torch.int64)
            parsing[side // 4:-side // 4, side // 4:-side // 4] = 1
        embedding = F.normalize(torch.randn(ID_DIM, generator=rng), dim=0)
        return SwapBatch(first, second, same, parsing, embedding, identity_label, identity_label,
                         target_landmarks=torch.rand(5, 2, generator=rng) * side)
