"""Resolution of defaults, a preset and overrides to one RunConfig. Errors are ValueErrors of one sentence."""
import difflib
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from configs.base import Config
from configs.data import SECTIONS, DataConfig, SwapData, section_of
from configs.reading import named_yaml, parse_yaml, read_text, shown
from configs.renamed import renamed_settings
from configs.schema import RunConfig

PRESETS = Path(__file__).resolve().parent
_NO_OVERRIDE = '{} is no override; write it as section.key=value, for example engine.steps=100'
ConfigT = TypeVar('ConfigT', bound=Config)


def read_preset(name: str) -> dict:
    """The settings of a preset. name: of a file in configs/ without .yaml, or the path of a YAML file. ValueError where the file
    is missing or holds no mapping."""
    path, content = named_yaml(name, PRESETS, 'preset')
    if not isinstance(content, dict):
        raise ValueError(f'{path} holds no settings; write `section: {{key: value}}` lines as in configs/cvae.yaml')
    return content


def parse_override(text: str) -> dict:
    """An override as nested settings: 'engine.steps=100' -> {'engine': {'steps': 100}}. The value is read as YAML. ValueError for
    another format."""
    key, equals, text_value = text.partition('=')
    if not equals:
        raise ValueError(_NO_OVERRIDE.format(shown(repr(text))))
    value = parse_yaml(text_value, f'the value of {shown(key)}')
    return nested_override(key, _number(value) if isinstance(value, str) else value)


def nested_override(key: str, value: Any) -> dict:
    """'engine.steps', 100 -> {'engine': {'steps': 100}}. ValueError for a key with an empty part."""
    names = key.strip().split('.')
    if not all(names):
        raise ValueError(_NO_OVERRIDE.format(shown(repr(key))))
    for name in reversed(names):
        value = {name: value}
    return value


def _number(text: str) -> float | str:
    """A text such as 1e-4, which YAML 1.1 does not read as a number, as float; other texts unchanged."""
    try:
        return float(text)
    except ValueError:
        return text


def merge(base: dict, change: dict, prefix: str = '') -> dict:
    """Nested settings with changes. Neither argument is modified.

    Args:
        base: the settings.
        change: settings that replace those of `base`. Sections are merged, but a section with another `kind` is replaced. A new
            parameter group starts as a copy of the default group.
        prefix: prepended to names in messages, such as 'engine.'.

    Raises:
        ValueError: `change` has a key that `base` lacks, or a value in place of a section.
    """
    merged = dict(base)
    for key, value in sorted(change.items(), key=lambda item: item[0] != 'default'):
        name = f'{prefix}{key}'
        if prefix == 'param_groups.' and key not in merged:
            merged[key] = merged['default']
        if key not in merged:
            close = difflib.get_close_matches(str(key), merged, n=3, cutoff=0.6)
            hint = f'did you mean {" or ".join(close)}?' if close else f'there are: {", ".join(merged)}'
            raise ValueError(f'there is no setting {shown(name)}; {hint}')
        if isinstance(merged[key], dict):
            if not isinstance(value, dict):
                raise ValueError(f'{name} is a section; set one of its keys: {", ".join(merged[key]) or "it has none"}')
            is_other_kind = 'kind' in value and value['kind'] != merged[key].get('kind')
            merged[key] = value if is_other_kind else merge(merged[key], value, f'{name}.')
        else:
            merged[key] = value
    return merged


def resolve(family: str, model_defaults: dict, preset: dict, overrides: list[dict],
            data: type[DataConfig] = SwapData) -> RunConfig:
    """The config of a run.

    Args:
        family: name of the family.
        model_defaults: settings of the family's own config.
        preset: nested settings; ValueError where it names another family.
        overrides: nested settings, each of which replaces those before it.
        data: class of the section `data`, that of the family's task.
    """
    settings = RunConfig(family=family, model=model_defaults, data=data()).model_dump()
    for change in [preset, *overrides]:
        settings = _merge_run(settings, change, family, data)
    if settings['family'] != family:
        raise ValueError(f'the preset is for the family {settings["family"]!r}, not for {family!r}; give a preset of this family')
    return checked_run(settings, data)


def checked(schema: type[ConfigT], settings: Any, section: str = '') -> ConfigT:
    """The settings as an instance of the schema. ValueError, one sentence, where they do not fit. section: prepended to the name
    of the setting, such as 'data.'."""
    try:
        return schema.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        name, value = section + '.'.join(map(str, first['loc'])), shown(repr(first['input']))
        raise ValueError(f'the setting {shown(name) or "as a whole"} does not fit: {shown(first["msg"], 300)} (it was {value})'
                         ) from error


def checked_file(schema: type[ConfigT], content: Any, path: Path) -> ConfigT:
    """The content of a YAML file as an instance of the schema. ValueError, which names the file, where it does not fit."""
    try:
        return schema(**content if isinstance(content, dict) else {})
    except ValidationError as error:
        first = error.errors()[0]
        setting = shown('.'.join(map(str, first['loc']))) or 'it'
        raise ValueError(f'{path}: {setting} does not fit: {shown(first["msg"], 300)}') from error


def checked_run(settings: dict, data: type[DataConfig]) -> RunConfig:
    """Nested settings of all sections as a RunConfig whose section `data` is of the class `data`; ValueError as for `checked`."""
    return checked(RunConfig, {**settings, 'data': checked(data, settings.get('data', {}), 'data.')})


def dump(config: RunConfig) -> str:
    """The YAML text that `load` reads."""
    return yaml.safe_dump(config.model_dump(mode='json'), sort_keys=False)


def load(path: Path) -> RunConfig:
    """The resolved config of a run folder."""
    if not path.is_file():
        raise ValueError(f'{path.parent} is no run: it has no {path.name}; give the folder that train.py wrote')
    settings = parse_yaml(read_text(path), path)
    if not isinstance(settings, dict):
        raise ValueError(f'{path} holds no settings; restore it or start a new run')
    settings = renamed_settings(settings, str(settings.get('family')), file=path)
    data = settings.get('data')
    return checked_run(settings, section_of(set(data) if isinstance(data, dict) else set()))


def reopened(run: Path, overrides: list[dict]) -> RunConfig:
    """The config of a run folder with changes. ValueError, one sentence, where they do not fit."""
    config = load(run / 'config.yaml')
    settings = config.model_dump()
    for change in overrides:
        settings = _merge_run(settings, change, config.family, type(config.data))
    return checked_run(settings, type(config.data))


def _merge_run(settings: dict, change: dict, family: str, data: type[DataConfig]) -> dict:
    """`merge` of a run's settings. ValueError where `change` has a setting of the section `data` of another task."""
    change = renamed_settings(change, family)
    section = change.get('data')
    if change.get('family', family) == family and isinstance(section, dict):
        of_other_tasks = {name for other in SECTIONS.values() for name in other.model_fields} - data.model_fields.keys()
        for name in section:
            if name in of_other_tasks:
                raise ValueError(f'data.{name} has no effect on the family {family}; remove it')
    return merge(settings, change)
