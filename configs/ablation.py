"""Ablations: a base run, its variants, seeds, and the protocol of the comparison. Each is a YAML file in configs/ablations."""
import itertools
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from configs.base import Config
from configs.reading import named_yaml
from configs.renamed import renamed_metric
from configs.resolve import checked_file, nested_override

FOLDER = Path(__file__).resolve().parent / 'ablations'
BASE = 'base'


class Change(Config):
    """Differences of a variant to the base run."""

    family: str | None = Field(None, description='family; that of the base where null')
    preset: str | None = Field(None, description='preset; that of the base where null, or of the family where that changes')
    settings: dict[str, Any] = Field({}, description='dotted keys and their values, as for train.py --set')
    against: str | None = Field(None, description='variant that it is tested against; the base where null')


class BaseRun(Change):
    """The run that variants are changes of."""

    family: str = Field(description='family')


class ProtocolConfig(Config):
    """Arguments of experiments.evaluation.protocols.swaps.build_protocol, or with the name `translation` of
    experiments.evaluation.protocols.translation.translation. Identity encoders (family `recognizer`) have the protocol
    `webcaricature`."""

    name: str = Field('synthetic', description='protocol')
    root: str | None = Field(None, description='folder of the data set, or of the sources of the protocol `folder`')
    targets: str | None = Field(None, description='folder of the targets of the protocol `folder`')
    size: int | None = Field(None, description='side of the images in pixels; that of the protocol where null')
    count: int | None = Field(None, description='number of pairs; that of the protocol where null')


class AblationConfig(Config):
    """Settings of an ablation: base run, variants, seeds and protocol."""

    question: str = Field(description='question that the ablation answers, one sentence')
    base: BaseRun = Field(description='base run')
    base_name: str = Field(BASE, description='name of the base run')
    variants: dict[str, Change] = Field({}, description='name -> changes of the base run')
    grid: dict[str, list[Any]] = Field({}, description='dotted key -> values; each combination is a variant')
    seeds: list[int] = Field([0], min_length=1, description='seeds of each variant')
    protocol: ProtocolConfig = Field(ProtocolConfig(), description='protocol of the comparison')
    judges: list[str] = Field([], description='embedders that measure identity, one table each; if empty, chosen automatically')
    columns: list[str] = Field([], description='metrics of the table; the default ones if empty')
    images: int = Field(6, ge=1, le=16, description='rows of the image grid')

    @field_validator('columns')
    @classmethod
    def _renamed_columns(cls, columns: list[str]) -> list[str]:
        return [renamed_metric(name) for name in columns]

    @model_validator(mode='after')
    def _check_variants(self) -> 'AblationConfig':
        if not self.variants and not self.grid:
            raise ValueError('give variants or a grid; the base alone is not compared')
        if self.base_name in self.variants:
            raise ValueError(f'a variant has the name {self.base_name!r} of the base; rename the variant')
        for name, change in self.variants.items():
            if change.against not in (None, *self.variants):
                raise ValueError(f'{name} is tested against {change.against!r}, which is no variant')
        return self

    def expanded(self) -> dict[str, Change]:
        """Name of each variant -> its changes to the defaults of its family; the base comes first."""
        changes: dict[str, Change] = {self.base_name: self.base}
        for name, change in self.variants.items():
            changes[name] = self._over_base(change)
        for values in itertools.product(*self.grid.values()) if self.grid else ():
            settings = dict(zip(self.grid, values))
            name = ', '.join(f'{key.rsplit(".", 1)[-1]} {value}' for key, value in settings.items())
            changes[name] = self._over_base(Change(settings=settings))
        return changes

    def _over_base(self, change: Change) -> Change:
        """The change with the family, the preset and the settings of the base where it does not replace them."""
        changes_family = change.family is not None and change.family != self.base.family
        return Change(family=change.family or self.base.family,
                      preset=change.preset if changes_family else change.preset or self.base.preset,
                      settings={**self.base.settings, **change.settings}, against=change.against)


def overrides(change: Change) -> list[dict[str, Any]]:
    """The settings of a change as nested dicts, as configs.resolve merges them."""
    return [nested_override(key, value) for key, value in change.settings.items()]


def read_ablation(name: str) -> tuple[str, AblationConfig]:
    """Name and config of an ablation.

    Args:
        name: name of a file in configs/ablations without .yaml, or path of a YAML file.

    Raises:
        ValueError: the file is missing or invalid.
    """
    path, content = named_yaml(name, FOLDER, 'ablation')
    return path.stem, checked_file(AblationConfig, content, path)
