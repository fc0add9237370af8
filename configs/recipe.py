"""Recipes: the training of published weights in stages, one YAML file each in configs/recipes/."""
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from configs.base import Config
from configs.reading import parse_yaml, read_text, shown

FOLDER = Path(__file__).resolve().parent / 'recipes'


class ReversedConfig(Config):
    """The reversed pairs of a recipe (datasets.samples.reversed)."""

    weights: str = Field('cgan', description='weights of the swapper: a name in models.weights or a family.safetensors')
    per_image: int = Field(2, ge=1, description='source identities per image')
    seed: int = Field(0, ge=0, description='random seed of the source identities')


class StageConfig(Config):
    """One run of a recipe, initialized with the weights of the previous stage."""

    name: str = Field(pattern=r'^[a-z0-9-]+$', description='name of the stage, part of its folder')
    samples: int = Field(ge=1, description='training samples of the stage')
    settings: dict[str, Any] = Field({}, description='dotted settings as for train.py --set, also for the later stages')


class RecipeConfig(Config):
    """A recipe."""

    family: str = Field(description='name of the family')
    preset: str | None = Field(None, description='YAML file, or its name in configs/; None: the one named like the family')
    init: str | None = Field(None, description='initial weights: a name in models.weights or a family.safetensors')
    reversed: ReversedConfig | None = Field(None, description='reversed pairs that are added to the cache; None for none')
    stages: list[StageConfig] = Field(min_length=1, description='the stages in their order')


def read_recipe(name: str) -> tuple[str, RecipeConfig]:
    """Name and content of a recipe.

    Args:
        name: path of a YAML file, or its name in configs/recipes.

    Raises:
        ValueError: the file is missing or invalid; one sentence.
    """
    published = FOLDER / f'{name}.yaml'
    path = published if published.is_file() else Path(name)
    if not path.is_file():
        names = ', '.join(sorted(file.stem for file in FOLDER.glob('*.yaml')))
        raise ValueError(f'there is no recipe {shown(repr(name))}; give the path of a YAML file or one of: {names}')
    content = parse_yaml(read_text(path), path)
    try:
        recipe = RecipeConfig(**content if isinstance(content, dict) else {})
    except ValidationError as error:
        first = error.errors()[0]
        setting = shown('.'.join(map(str, first['loc']))) or 'it'
        raise ValueError(f'{path}: {setting} does not fit: {shown(first["msg"], 300)}') from error
    names = [stage.name for stage in recipe.stages]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise ValueError(f'{path}: two stages are called {min(repeated)}; give the stages different names')
    return path.stem, recipe
