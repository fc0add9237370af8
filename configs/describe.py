"""Listings of config fields: dotted key, type, default, range and description."""
from collections.abc import Mapping
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from configs.base import Config
from configs.data import DataConfig
from configs.schema import RunConfig

_BOUNDS = {'ge': '>=', 'gt': '>', 'le': '<=', 'lt': '<', 'min_length': 'length >=', 'max_length': 'length <='}


def describe_run(model: type[Config] | None = None, data: type[DataConfig] = DataConfig,
                 config: RunConfig | None = None) -> list[str]:
    """One line per setting of a run.

    Args:
        model: config class of the family; None lists `model` as a plain field.
        data: class of the section `data`; DataConfig lists the fields that all tasks have.
        config: the config whose values are listed as defaults, that of a preset; None for the defaults of the classes.
    """
    models = {} if model is None else {'model': model(**config.model) if config else model}
    return describe(config or RunConfig, {'data': config.data if config else data, **models})


def describe(schema: type[Config] | Config, sections: Mapping[str, type[Config] | Config] | None = None,
             prefix: str = '') -> list[str]:
    """One line per field of a config class and of the configs nested in it.

    Args:
        schema: the class whose fields are listed, or an instance whose values are listed as defaults.
        sections: field -> class or instance that is listed in place of its value.
        prefix: prepended to every key, such as 'engine.'.
    """
    lines, sections = [], sections or {}
    config_class = schema if isinstance(schema, type) else type(schema)
    for name, field in config_class.model_fields.items():
        default = field.get_default(call_default_factory=True) if schema is config_class else getattr(schema, name)
        key = f'{prefix}{name}'
        if name in sections:
            lines += describe(sections[name], prefix=f'{key}.')
        elif isinstance(default, Config):
            lines += describe(default, prefix=f'{key}.')
            for kind in get_args(field.annotation):  # other classes of a union that `kind` chooses from
                if isinstance(kind, type) and issubclass(kind, Config) and not isinstance(default, kind):
                    condition = f'with {key}.kind={kind.model_fields["kind"].default}'
                    lines += [f'{line}, {condition}' for line in describe(kind, prefix=f'{key}.')]
        elif isinstance(default, dict) and default and all(isinstance(value, Config) for value in default.values()):
            for entry, value in default.items():
                lines += describe(value, prefix=f'{key}.{entry}.')
        else:
            lines.append(_line(key, field, default))
    return lines


def _line(key: str, field: FieldInfo, default: Any) -> str:
    bounds = [f'{symbol} {getattr(rule, name)}' for rule in field.metadata for name, symbol in _BOUNDS.items()
              if getattr(rule, name, None) is not None]
    value = 'required' if default is PydanticUndefined else f'default {default!r}'
    details = ', '.join([_type_name(field.annotation), *bounds, value])
    return f'{key} ({details})' + (f': {field.description}' if field.description else '')


def _type_name(annotation: Any) -> str:
    if get_origin(annotation) is not None and str(annotation).startswith('typing.Literal'):
        return ' | '.join(map(repr, get_args(annotation)))
    return annotation.__name__ if isinstance(annotation, type) and not get_args(annotation) else str(annotation)
