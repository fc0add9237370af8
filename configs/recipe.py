"""Recipes: the stages of a training, one YAML file each in configs/recipes/."""
from pathlib import Path
from typing import Any

from pydantic import Field

from configs.base import Config
from configs.reading import named_yaml
from configs.resolve import checked_file

FOLDER = Path(__file__).resolve().parent / 'recipes'


class ReversedConfig(Config):
    """The reversed pairs of a recipe (datasets.samples.reversed)."""

    weights: str = Field('cgan', description='weights of the swapper: a name in models.weights or a family.safetensors')
    per_image: int = Field(2, ge=1, description='swaps per image')
    seed: int = Field(0, ge=0, description='random seed of the swapped identities')


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
    """Name and config of a recipe.

    Args:
        name: of a file in configs/recipes, or the path of a YAML file.

    Raises:
        ValueError: the file is missing or invalid.
    """
    path, content = named_yaml(name, FOLDER, 'recipe')
    recipe = checked_file(RecipeConfig, content, path)
    names = [stage.name for stage in recipe.stages]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise ValueError(f'{path}: two stages are called {min(repeated)}; give the stages different names')
    return path.stem, recipe
