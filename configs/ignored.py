"""Settings without effect: listed, refused, and reset to their defaults."""
from collections.abc import Sequence
from typing import Any

from configs.base import Config
from configs.resolve import checked_run
from configs.schema import OptimizerConfig, RunConfig

_ABSENT = object()


def ignored_in(config: Config, prefix: str = '') -> dict[str, str]:
    """Dotted settings of a config, and of the configs nested in it, that have no effect -> reason.

    Args:
        config: the config.
        prefix: prepended to every name, such as 'model.'.
    """
    ignored = {f'{prefix}{name}': reason for name, reason in config.ignored().items()}
    for name in type(config).model_fields:
        value = getattr(config, name)
        entries = {f'{name}.{key}': entry for key, entry in value.items()} if isinstance(value, dict) else {name: value}
        for key, entry in entries.items():
            if isinstance(entry, Config):
                ignored |= ignored_in(entry, f'{prefix}{key}.')
    return ignored


def refuse_ignored(config: RunConfig, references: Sequence[RunConfig], ignored: dict[str, str]) -> None:
    """Refuse a setting that has no effect and differs from its reference values.

    Args:
        config: the config.
        references: configs whose values of such settings are allowed.
        ignored: dotted setting -> reason.

    Raises:
        ValueError: a setting of `ignored` differs from its values in all references; one sentence.
    """
    settings = config.model_dump(mode='json')
    reference_settings = [reference.model_dump(mode='json') for reference in references]
    for name, reason in ignored.items():
        value = _value(settings, name)
        allowed = [_value(reference, name) for reference in reference_settings]
        allowed = [reference_value for reference_value in allowed if reference_value is not _ABSENT]
        if name.startswith('param_groups.'):
            allowed.append(OptimizerConfig().model_dump(mode='json')[name.rpartition('.')[2]])
        if value is not _ABSENT and allowed and value not in allowed:
            raise ValueError(f'{name}={value} would be ignored: {reason}; remove it')


def without_ignored(config: RunConfig, defaults: RunConfig, ignored: dict[str, str]) -> RunConfig:
    """The config with the settings of `ignored` as in `defaults`, so that equal runs have equal configs."""
    settings, default_settings = config.model_dump(mode='json'), defaults.model_dump(mode='json')
    for name in ignored:
        path, value = name.split('.'), _value(default_settings, name)
        section = settings
        for key in path[:-1]:
            section = section[key]
        if value is not _ABSENT and path[-1] in section:
            section[path[-1]] = value
    return checked_run(settings, type(config.data))


def _value(settings: Any, name: str) -> Any:
    """The value of a dotted setting, or _ABSENT."""
    for key in name.split('.'):
        if not isinstance(settings, dict) or key not in settings:
            return _ABSENT
        settings = settings[key]
    return settings
