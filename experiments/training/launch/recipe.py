"""Training by a recipe: stages in order, each a resumable run that is initialized with the weights of the previous one."""
import math
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from configs.data import SwapData
from configs.recipe import RecipeConfig
from configs.resolve import PRESETS, load, nested_override
from configs.schema import RunConfig
from datasets.cache import embed, label
from datasets.reversal import reverse_cache
from experiments.training.launch.build import build_training
from experiments.training.launch.completion import complete
from experiments.training.launch.settings import resumed, started
from experiments.training.state.checkpoint import Checkpoints
from models import weights
from models.perception.build import fingerprint, load_embedder, load_parser
from models.storage.files import replacing

WEIGHTS_FILE = 'family.safetensors'


def train_recipe(recipe: RecipeConfig, folder: Path, overrides: list[dict], script: str) -> int:
    """Train all stages that are not finished, then copy the weights of the last one to `folder`.

    Args:
        recipe: the recipe.
        folder: gets a run folder for each stage, NUMBER-NAME.
        overrides: nested settings that replace those of every stage, such as the root of the data set.
        script: name that error messages begin with.

    Returns:
        The exit code of experiments.training.launch.completion.complete.

    Raises:
        ValueError, OSError, models.weights.WeightsError, RunError: something does not fit or is missing; one sentence.
    """
    init = None if recipe.init is None else weights.locate(recipe.init)
    for number, config in enumerate(stage_configs(recipe, overrides)):
        stage, run = recipe.stages[number], folder / f'{number + 1:02d}-{recipe.stages[number].name}'
        if not number:
            prepare_cache(recipe, config)
        if not is_finished(run):
            print(f'stage {number + 1} of {len(recipe.stages)}, {stage.name}: {run}', file=sys.stderr, flush=True)
            is_started = (run / 'config.yaml').is_file()
            config = resumed(run, overrides) if is_started else config
            training = build_training(config, run, resume=is_started, init=None if is_started else init)
            training.begin()
            if code := complete(training.engine, script, training.finish):
                return code
        init = run / WEIGHTS_FILE
    with replacing(folder / WEIGHTS_FILE) as temporary:
        shutil.copyfile(run / WEIGHTS_FILE, temporary)
    print(folder / WEIGHTS_FILE)
    return 0


def stage_configs(recipe: RecipeConfig, overrides: list[dict]) -> list[RunConfig]:
    """The config of each stage: the preset, the settings of this and the previous stages, the overrides, and the number of steps
    of its samples."""
    preset = recipe.preset or (recipe.family if (PRESETS / f'{recipe.family}.yaml').is_file() else None)
    configs, changes = [], []
    for stage in recipe.stages:
        changes += [nested_override(key, value) for key, value in stage.settings.items()]
        config = started(recipe.family, preset, [*changes, *overrides])
        engine = config.engine
        per_step = config.data.images_per_batch * engine.accumulate * engine.devices * engine.nodes
        steps = {'engine': {'steps': math.ceil(stage.samples / per_step)}}
        configs.append(started(recipe.family, preset, [*changes, steps, *overrides]))
    return configs


def is_finished(run: Path) -> bool:
    """Whether a run folder holds the checkpoint of its last step and its weights."""
    if not (run / 'config.yaml').is_file() or not (run / WEIGHTS_FILE).is_file():
        return False
    steps = load(run / 'config.yaml').engine.steps
    newest = Checkpoints(run / 'checkpoints', keep=1).newest()
    return newest is not None and newest.name == f'step-{steps:08d}'


def prepare_cache(recipe: RecipeConfig, config: RunConfig) -> None:
    """Add label maps, embeddings and the recipe's reversed pairs to the cache, where they are missing. Raises ValueError where
    the data set is no cache or the config has no parser."""
    if recipe.reversed is None:
        return
    data, perception = config.data, config.perception
    if not isinstance(data, SwapData) or data.name != 'cache' or data.root is None:
        raise ValueError('this recipe trains on reversed pairs, which require a cache; pack one with scripts/prepare_data.py '
                         'and give its folder with --root')
    if perception.parser is None:
        raise ValueError('the label maps of a cache require a parser; omit perception.parser=null')
    root = data.root
    label(root, load_parser(perception.parser).labels, name=perception.parser, progress=_progress('parsing maps'))
    embed(root, fingerprint(perception.id_encoder), load_embedder(perception.id_encoder), progress=_progress('embeddings'))
    reverse_cache(root, recipe.reversed.weights, per_image=recipe.reversed.per_image, seed=recipe.reversed.seed,
                  progress=_progress('reversed pairs'))


def _progress(title: str) -> Callable[[int, int], None]:
    def show(done: int, total: int) -> None:
        if done % 64 == 0 or done == total:
            print(f'\r{title}: {done} of {total}', end='\n' if done == total else '', file=sys.stderr, flush=True)
    return show
