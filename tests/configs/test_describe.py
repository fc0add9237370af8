"""Listing of config fields."""
import pytest

from configs.base import Config
from configs.data import SECTIONS, MatchingConfig
from configs.describe import describe_run
from configs.resolve import resolve
from configs.schema import EngineConfig, OptimizerConfig, PerceptionConfig, RunConfig
from models.registry import FAMILIES, family_types


@pytest.mark.parametrize('schema', [
    *SECTIONS.values(), EngineConfig, MatchingConfig, OptimizerConfig, PerceptionConfig, RunConfig,
])
def test_every_field_has_a_description(schema: type[Config]) -> None:
    assert not [name for name, field in schema.model_fields.items() if not field.description]


def test_line_has_type_range_default_and_description() -> None:
    lines = describe_run(data=SECTIONS['translate'])
    assert ('engine.ema (float, >= 0, < 1, default 0.999): decay of the EMA weights') in lines
    assert any(line.startswith("data.matching.space ('none' | 'rgb' | 'hsv' | 'hls', default 'none')") for line in lines)
    assert any(line.startswith('param_groups.default.lr (float, > 0, default 0.0002)') for line in lines)


@pytest.mark.parametrize('family', FAMILIES)
def test_sections_of_a_family_are_listed(family: str) -> None:
    schema, data = family_types(family)[1], FAMILIES[family].data_section
    lines = describe_run(schema, data)
    keys = [line.split(' (')[0] for line in lines]
    assert len(lines) == len(set(lines)) and all(': ' in line for line in lines)
    assert all(any(key == f'model.{name}' or key.startswith(f'model.{name}.') for key in keys) for name in schema.model_fields)
    assert all(any(key == f'data.{name}' or key.startswith(f'data.{name}.') for key in keys) for name in data.model_fields)


def test_defaults_are_those_of_the_preset_and_other_kinds_are_listed() -> None:
    schema, data = family_types('cgan')[1], FAMILIES['cgan'].data_section
    preset = {'model': {'size': 48}, 'engine': {'steps': 7}, 'param_groups': {'discriminator': {'lr': 0.5}}}
    lines = describe_run(schema, data, resolve('cgan', schema().model_dump(), preset, []))
    for start in ('model.size (int, default 48)', 'engine.steps (int, >= 1, default 7)', 'family (str, default \'cgan\')',
                  'param_groups.discriminator.lr (float, > 0, default 0.5)',
                  f'model.discriminator.width (int, default {schema().discriminator.width})'):
        assert any(line.startswith(start) for line in lines)
    assert any(line.startswith('model.discriminator.fold (') and line.endswith('kind=sagan') for line in lines)
