"""Tests of the listing of config fields."""
import pytest

from configs.base import Config
from configs.describe import describe
from configs.schema import DataConfig, EngineConfig, MatchingConfig, OptimizerConfig, PerceptionConfig, RunConfig
from models.registry import FAMILIES, family_types


@pytest.mark.parametrize('schema', [DataConfig, EngineConfig, MatchingConfig, OptimizerConfig, PerceptionConfig, RunConfig])
def test_every_field_of_the_schema_has_a_description(schema: type[Config]) -> None:
    assert not [name for name, field in schema.model_fields.items() if not field.description]


def test_a_line_holds_type_range_default_and_description() -> None:
    lines = describe(RunConfig)
    assert ('engine.ema (float, >= 0, < 1, default 0.999): decay of the EMA weights') in lines
    assert any(line.startswith("data.matching.space ('none' | 'rgb' | 'hsv' | 'hls', default 'none')") for line in lines)
    assert any(line.startswith('param_groups.default.lr (float, > 0, default 0.0002)') for line in lines)


@pytest.mark.parametrize('family', FAMILIES)
def test_the_model_section_is_that_of_the_family(family: str) -> None:
    schema = family_types(family)[1]
    keys = [line.split(' (')[0] for line in describe(RunConfig, schema)]
    assert len(keys) == len(set(keys))
    assert all(any(key == f'model.{name}' or key.startswith(f'model.{name}.') for key in keys) for name in schema.model_fields)
