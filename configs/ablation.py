"""An ablation: a base run, what is varied, by how many seeds, and by which protocol the runs are compared. One YAML file each in
configs/ablations/."""
import itertools
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from configs.base import Config
from configs.reading import parse_yaml, read_text, shown
from configs.resolve import parse_override

FOLDER = Path(__file__).resolve().parent / 'ablations'
BASE = 'base'


class Change(Config):
    """family, preset: None leaves the base's (a family's own preset where the family changes). settings: dotted keys as for
    train.py --set. against: the variant that it is tested against, None for the base."""

    family: str | None = None
    preset: str | None = None
    settings: dict[str, Any] = {}
    against: str | None = None


class BaseRun(Change):
    """What every variant starts from."""

    family: str


class ProtocolConfig(Config):
    """Arguments of experiments.evaluation.protocols.swaps.build_protocol, or with the name `translation` of
    experiments.evaluation.protocols.translation.translation. Encoders (family `recognizer`) are measured by `webcaricature`."""

    name: str = 'synthetic'
    root: str | None = None
    targets: str | None = None
    size: int | None = None
    count: int | None = None


class AblationConfig(Config):
    """question: the sentence that the ablation answers. variants: name -> change of the base; grid: dotted key -> values, every
    combination a variant of its own. judges: embedders that measure identity, one table each; none for one that no run has
    learned from. columns: of the table; none for the usual ones. images: rows of the image grid."""

    question: str
    base: BaseRun
    base_name: str = BASE
    variants: dict[str, Change] = {}
    grid: dict[str, list[Any]] = {}
    seeds: list[int] = Field([0], min_length=1)
    protocol: ProtocolConfig = ProtocolConfig()
    judges: list[str] = []
    columns: list[str] = []
    images: int = Field(6, ge=1, le=16)

    @model_validator(mode='after')
    def _something_varies(self):
        if not self.variants and not self.grid:
            raise ValueError('give variants or a grid: with the base alone there is nothing to compare')
        if self.base_name in self.variants:
            raise ValueError(f'a variant is called {self.base_name!r} like the base; name it otherwise')
        for name, change in self.variants.items():
            if change.against not in (None, *self.variants):
                raise ValueError(f'{name} is tested against {change.against!r}, which is no variant')
        return self

    def expanded(self) -> dict[str, Change]:
        """Name -> what is changed against the defaults of its family, the base first."""
        found = {self.base_name: self.base}
        for name, change in self.variants.items():
            found[name] = self._over_base(change)
        for values in itertools.product(*self.grid.values()) if self.grid else ():
            settings = dict(zip(self.grid, values))
            name = ', '.join(f'{key.rsplit(".", 1)[-1]} {value}' for key, value in settings.items())
            found[name] = self._over_base(Change(settings=settings))
        return found

    def _over_base(self, change: Change) -> Change:
        other = change.family is not None and change.family != self.base.family
        return Change(family=change.family or self.base.family,
                      preset=change.preset if other else change.preset or self.base.preset,
                      settings={**self.base.settings, **change.settings}, against=change.against)


def overrides(change: Change) -> list[dict]:
    """Nested, as configs.resolve merges them."""
    found = []
    for key, value in change.settings.items():
        nested = parse_override(f'{key}=null')  # the key is checked as on the command line
        found.append(_filled(nested, value))
    return found


def _filled(nested: dict, value: Any) -> dict:
    (key, inner), = nested.items()
    return {key: value if inner is None else _filled(inner, value)}


def read_ablation(name: str) -> tuple[str, AblationConfig]:
    """Name and content of a file, given by its path or by its name in configs/ablations; ValueError, one sentence, where it
    cannot be used."""
    beside = FOLDER / f'{name}.yaml'
    path = beside if beside.is_file() else Path(name)
    if not path.is_file():
        known = ', '.join(sorted(found.stem for found in FOLDER.glob('*.yaml')))
        raise ValueError(f'there is no ablation {shown(repr(name))}; give the path of a YAML file or one of: {known}')
    content = parse_yaml(read_text(path), path)
    try:
        return path.stem, AblationConfig(**content if isinstance(content, dict) else {})
    except ValidationError as error:
        first = error.errors()[0]
        place = shown('.'.join(map(str, first['loc']))) or 'it'
        raise ValueError(f'{path}: {place} does not fit: {shown(first["msg"], 300)}') from error
