"""Settings that are accepted but have no effect: they are refused where somebody sets them, so that nobody waits for a difference
that cannot come."""
from collections.abc import Sequence
from typing import Any

from configs.base import Config
from configs.resolve import checked_run
from configs.schema import OptimizerConfig, RunConfig

_ABSENT = object()


def ignored_in(config: Config, place: str = '') -> dict[str, str]:
    """`Config.ignored` of a config and of all configs in it, with dotted names."""
    found = {f'{place}{name}': why for name, why in config.ignored().items()}
    for name in type(config).model_fields:
        value = getattr(config, name)
        parts = {f'{name}.{key}': part for key, part in value.items()} if isinstance(value, dict) else {name: value}
        for inner, part in parts.items():
            if isinstance(part, Config):
                found |= ignored_in(part, f'{place}{inner}.')
    return found


def refuse_ignored(config: RunConfig, usual: Sequence[RunConfig], ignored: dict[str, str]) -> None:
    """ValueError, one sentence, where a setting without effect differs from its values in all the `usual` configs."""
    settings, others = config.model_dump(mode='json'), [run.model_dump(mode='json') for run in usual]
    for name, why in ignored.items():
        value, known = _value(settings, name), [found for other in others if (found := _value(other, name)) is not _ABSENT]
        if name.startswith('param_groups.'):
            known.append(OptimizerConfig().model_dump(mode='json')[name.rpartition('.')[2]])
        if value is not _ABSENT and known and value not in known:
            raise ValueError(f'{name}={value} would be ignored: {why}; leave it away')


def without_ignored(config: RunConfig, defaults: RunConfig, ignored: dict[str, str]) -> RunConfig:
    """The config with settings that have no effect as in `defaults`, so that equal runs have equal configs."""
    settings, usual = config.model_dump(mode='json'), defaults.model_dump(mode='json')
    for name in ignored:
        path, value = name.split('.'), _value(usual, name)
        inner = settings
        for key in path[:-1]:
            inner = inner[key]
        if value is not _ABSENT and path[-1] in inner:
            inner[path[-1]] = value
    return checked_run(settings, type(config.data))


def _value(settings: Any, name: str) -> Any:
    for key in name.split('.'):
        if not isinstance(settings, dict) or key not in settings:
            return _ABSENT
        settings = settings[key]
    return settings
