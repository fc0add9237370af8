"""Listings of config fields: dotted key, type, default, range and description."""
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo

from configs.base import Config
from configs.data import DataConfig
from configs.schema import RunConfig

_BOUNDS = {'ge': '>=', 'gt': '>', 'le': '<=', 'lt': '<', 'min_length': 'length >=', 'max_length': 'length <='}


def describe_run(model: type[Config] | None = None, data: type[DataConfig] = DataConfig) -> list[str]:
    """One line per setting of a run.

    Args:
        model: config class of the family; None lists `model` as a plain field.
        data: class of the section `data`; DataConfig lists the fields that all tasks have.
    """
    return describe(RunConfig, {'data': data, **({} if model is None else {'model': model})})


def describe(schema: type[Config], sections: dict[str, type[Config]] | None = None, prefix: str = '') -> list[str]:
    """One line per field of a config class and of the configs nested in it.

    Args:
        schema: the class whose fields are listed.
        sections: field -> class that is listed in place of that of its default.
        prefix: prepended to every key, such as 'engine.'.
    """
    lines, sections = [], sections or {}
    for name, field in schema.model_fields.items():
        key, default = f'{prefix}{name}', field.get_default(call_default_factory=True)
        if name in sections:
            lines += describe(sections[name], prefix=f'{key}.')
        elif isinstance(default, Config):
            lines += describe(type(default), prefix=f'{key}.')
        elif isinstance(default, dict) and default and all(isinstance(value, Config) for value in default.values()):
            for entry, value in default.items():
                lines += describe(type(value), prefix=f'{key}.{entry}.')
        else:
            lines.append(_line(key, field, default))
    return lines


def _line(key: str, field: FieldInfo, default: Any) -> str:
    bounds = [f'{symbol} {getattr(rule, name)}' for rule in field.metadata for name, symbol in _BOUNDS.items()
              if getattr(rule, name, None) is not None]
    value = 'required' if field.is_required() else f'default {default!r}'
    details = ', '.join([_type_name(field.annotation), *bounds, value])
    return f'{key} ({details})' + (f': {field.description}' if field.description else '')


def _type_name(annotation: Any) -> str:
    if get_origin(annotation) is not None and str(annotation).startswith('typing.Literal'):
        return ' | '.join(map(repr, get_args(annotation)))
    return annotation.__name__ if isinstance(annotation, type) and not get_args(annotation) else str(annotation)
