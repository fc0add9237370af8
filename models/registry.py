"""Registry of the families, imported lazily, and their weights as safetensors files with the config in the metadata."""
import importlib
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from configs.data import SECTIONS, DataConfig
from configs.reading import parse_json, shown
from configs.renamed import renamed_metadata, renamed_settings, renamed_tensors
from configs.resolve import checked
from models.base import Family, FamilyConfig, Perception, Task
from models.weights_table import ZOO


@dataclass(frozen=True)
class FamilyEntry:
    """Definition of a family.

    module: module of the family class and its config class; family, config: names of the classes; task: what the family does;
    data: the task whose samples it is trained on, None for `task`.
    """

    module: str
    family: str
    config: str
    task: Task
    data: Task | None = None

    @property
    def data_task(self) -> Task:
        """The task whose samples the family is trained on."""
        return self.data or self.task

    @property
    def data_section(self) -> type[DataConfig]:
        """The class of the section `data` of its runs."""
        return SECTIONS[self.data_task]

    def load(self) -> tuple[type[Family], type[FamilyConfig]]:
        """The family class and its config class."""
        module = importlib.import_module(self.module)
        return getattr(module, self.family), getattr(module, self.config)


# The first swapper is the default of scripts and pages.
FAMILIES = {
    'cgan': FamilyEntry('models.cgan.family', 'CGAN', 'CGANConfig', 'swap'),
    'cvae': FamilyEntry('models.cvae.family', 'CVAE', 'CVAEConfig', 'swap'),
    'cyclegan': FamilyEntry('models.translation.cyclegan.family', 'CycleGAN', 'CycleGANConfig', 'translate'),
    'cut': FamilyEntry('models.translation.cut.family', 'CUT', 'CUTConfig', 'translate'),
    'stargan': FamilyEntry('models.translation.stargan.family', 'StarGAN', 'StarGANConfig', 'translate'),
    'xgan': FamilyEntry('models.translation.xgan.family', 'XGAN', 'XGANConfig', 'translate'),
    'dtn': FamilyEntry('models.translation.dtn.family', 'DTN', 'DTNConfig', 'translate'),
    'cartoongan': FamilyEntry('models.translation.cartoongan.family', 'CartoonGAN', 'CartoonGANConfig', 'translate'),
    'ddpm': FamilyEntry('models.ddpm.family', 'DDPM', 'DDPMConfig', 'swap'),
    'munit': FamilyEntry('models.translation.munit.family', 'MUNIT', 'MUNITConfig', 'translate'),
    'pix2pixhd': FamilyEntry('models.translation.pix2pixhd.family', 'Pix2PixHD', 'Pix2PixHDConfig', 'translate', 'swap'),
    'satnet': FamilyEntry('models.translation.satnet.family', 'SATNet', 'SATNetConfig', 'translate'),
    'ugatit': FamilyEntry('models.translation.ugatit.family', 'UGATIT', 'UGATITConfig', 'translate'),
    'recognizer': FamilyEntry('models.perception.encoders.family', 'Recognizer', 'RecognizerConfig', 'identity'),
    'parser': FamilyEntry('models.perception.parsers.family', 'ParserTraining', 'ParserTrainingConfig', 'parsing'),
    'causes': FamilyEntry('models.perception.causes', 'CauseTraining', 'CauseTrainingConfig', 'causes'),
}
TRANSLATORS = tuple(name for name, entry in FAMILIES.items() if entry.task == 'translate')
SWAPPERS = tuple(name for name, entry in FAMILIES.items() if entry.task == 'swap')
_TASK_DESCRIPTIONS: dict[Task, str] = {
    'swap': 'swaps faces (swap.py)', 'translate': 'translates images (translate.py)', 'identity': 'recognizes faces',
    'parsing': 'parses faces', 'causes': 'regresses rendering parameters',
}
GENERATORS = (*SWAPPERS, *TRANSLATORS)  # families that generate images
SWAPPER = SWAPPERS[0]


def family_entry(name: str) -> FamilyEntry:
    """The entry of a family. Raises ValueError for an unknown name."""
    if name not in FAMILIES:
        raise ValueError(f'unknown family {shown(repr(name))}; known: {", ".join(FAMILIES)}')
    return FAMILIES[name]


def family_types(name: str) -> tuple[type[Family], type[FamilyConfig]]:
    """The family class and its config class. Raises ValueError for an unknown name."""
    return family_entry(name).load()


def build_family(name: str, config: dict, perception: Perception | None) -> Family:
    """A family with fresh weights. Raises pydantic.ValidationError on an unknown or ill-typed config key."""
    family_class, schema = family_types(name)
    return family_class(schema(**config), perception)


def load_family(path: str | Path, perception: Perception | None, *, task: Task | None = None) -> Family:
    """A frozen family in eval mode with the weights of a file.

    Args:
        path: safetensors file whose metadata hold `family` and `config` (JSON).
        perception: the frozen networks that the family uses, None for none.
        task: the task that the family has to have, None for any.

    Raises:
        ValueError: the file has no such metadata, does not fit its config, or holds a family of another task.
    """
    metadata, state = _read(path)
    if 'family' not in metadata or 'config' not in metadata:
        raise ValueError(f'{path} names no family in its metadata; give a family.safetensors of a run or of models/zoo')
    entry = family_entry(metadata['family'])
    if task not in (None, entry.task):
        raise ValueError(f'{path} holds a {entry.family}, which {_TASK_DESCRIPTIONS[entry.task]}; give weights of a family that '
                         f'{_TASK_DESCRIPTIONS[task]}')
    family_class, schema = family_types(metadata['family'])
    settings = parse_json(metadata['config'], f'the config in {path}')
    config = checked(schema, renamed_settings(settings, metadata['family'], ('model',), warn=Path(path).parent != ZOO,
                                              file=path))
    try:
        family = family_class(config, perception)
    except Exception as error:  # impossible widths and sizes raise errors of many types in PyTorch
        raise ValueError(f'{path} holds a config from which no network can be built ({shown(error)}); '
                         'give the file as train.py wrote it') from error
    _fill(family, state, path)
    return family.eval().requires_grad_(False)


def family_name(path: str | Path) -> str | None:
    """The family in the metadata of a safetensors file, or None. Raises ValueError if the file cannot be read."""
    return _metadata(path).get('family')


def load_weights(family: Family, path: str | Path) -> None:
    """Load the weights of a safetensors file into a family with the same Family.ema_modules, of any size that they take.

    Other modules, such as a discriminator, keep their weights if the file has none or those of another network.

    Raises:
        ValueError: tensors of Family.ema_modules differ.
    """
    state = _read(path)[1]
    state, current, generators = family.adapted_state(state), family.state_dict(), list(family.ema_modules().values())
    needed = tuple(f'{name}.' for name, module in family.named_modules() if any(module is other for other in generators))
    for module in {name.split('.')[0] for name in current.keys() | state.keys() if not name.startswith(needed or '')}:
        shapes = [{name: value.shape for name, value in tensors.items() if name.startswith(f'{module}.')}
                  for tensors in (state, current)]
        if shapes[0] != shapes[1]:
            state = {name: value for name, value in state.items() if not name.startswith(f'{module}.')}
            state |= {name: value for name, value in current.items() if name.startswith(f'{module}.')}
    _fill(family, state, path)


def _metadata(path: str | Path) -> dict[str, str]:
    try:
        with safe_open(path, 'pt') as handle:
            return renamed_metadata(handle.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise ValueError(f'{path} cannot be read as safetensors ({shown(error)}); give a file that train.py wrote') from error


def _read(path: str | Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and named tensors."""
    metadata = _metadata(path)
    try:
        return metadata, renamed_tensors(load_file(path))
    except Exception as error:  # safetensors raises several types for unknown dtypes and truncated files
        raise ValueError(f'{path} cannot be read as safetensors ({shown(error)}); give a file that train.py wrote') from error


def _fill(family: Family, state: dict[str, Tensor], path: str | Path) -> None:
    shapes = [{name: value.shape for name, value in tensors.items()} for tensors in (family.state_dict(), state)]
    differing = {name for name, _ in shapes[0].items() ^ shapes[1].items()}
    if differing:
        raise ValueError(f'{path} does not fit the config: {len(differing)} entries differ, such as {shown(min(differing))}; '
                         'take the config that the file was trained with')
    family.load_state_dict({name: value.float() if value.is_floating_point() else value for name, value in state.items()})
