"""Train a model family, or one of the perception networks.

    python scripts/train.py --family cvae
    python scripts/train.py --family cvae --data celeba --root CELEBA --set data.batch=32 --set model.weights.id=0
    python scripts/train.py --family recognizer --preset photo-drawing --init mobilefacenet-068 --root WEBCARICATURE
    python scripts/train.py --family parser --root CACHE FASSEG
    python scripts/train.py --family causes
    python scripts/train.py --resume RUN
    python scripts/train.py --recipe cgan-128 --root CACHE
    python scripts/train.py --family cvae --dry-run
    python scripts/train.py --help-config cvae

A recipe (configs/recipes/) trains a family in stages; the same command, with the same --out, resumes it.

recognizer trains an identity encoder by a margin head, by distillation (perception.teacher, model.weights.distill), or by both;
the run folder gets encoder.safetensors. parser trains the face parser on folders with label maps (prepare_data.py pseudo-labels,
FASSEG, CelebAMask-HQ) and on rendered faces; the run folder gets parser.safetensors. causes trains the regressor of rendering
parameters; the run folder gets causes.safetensors. These three are measured after training, as by evaluate.py --network.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from experiments.console import quiet_interrupts, run_script

quiet_interrupts()

import argparse
import os

from configs.data import ParsingData
from configs.describe import describe_run
from configs.recipe import read_recipe
from configs.resolve import PRESETS, load, parse_override
from configs.schema import RunConfig
from datasets.registry import DATASETS
from experiments.training.errors import RunError
from experiments.training.launch.build import Training, build_training
from experiments.training.launch.completion import complete
from experiments.training.launch.dry_run import dry_run
from experiments.training.launch.recipe import train_recipe
from experiments.training.launch.run_folder import run_folder
from experiments.training.launch.settings import resumed, started
from models.registry import FAMILIES, family_entry
from models.weights import WeightsError


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--family', choices=FAMILIES, help='family to train')
    parser.add_argument('--preset', help='YAML file, or its name in configs/; default: the one named like the family')
    parser.add_argument('--data', choices=DATASETS, help='data set (default synthetic)')
    parser.add_argument('--root', nargs='+', metavar='FOLDER', help='folder of the data set; several for the family parser')
    parser.add_argument('--steps', type=int, help='updates of each parameter group')
    parser.add_argument('--set', action='extend', nargs='+', default=[], metavar='KEY=VALUE',
                        help='any settings, such as engine.seed=1')
    parser.add_argument('--out', type=Path, help='run folder (default runs/FAMILY-DATE)')
    parser.add_argument('--init', metavar='FILE', help="initial weights: another run's family.safetensors; for recognizer and "
                                                       'parser, a published network or an exported file')
    parser.add_argument('--recipe', metavar='NAME',
                        help='train in the stages of a recipe: YAML file, or its name in configs/recipes/')
    parser.add_argument('--resume', type=Path, metavar='RUN', help='continue the run in this folder')
    parser.add_argument('--dry-run', action='store_true', help='build everything, run two steps, print parameters, losses, '
                                                               'memory and speed, and exit; nothing is written')
    parser.add_argument('--help-config', nargs='?', choices=FAMILIES, const=False, metavar='FAMILY',
                        help='print all settings, with those of a family, and exit')
    args = parser.parse_args(argv)
    if args.help_config is not None:
        return args
    if args.resume and (args.preset or args.out or args.init):
        parser.error('--resume takes settings, folder and weights from the run; omit --preset, --out and --init')
    if args.recipe and (args.family or args.preset or args.init or args.resume or args.steps or args.dry_run):
        parser.error('--recipe sets family, preset, weights and steps of its stages; omit --family, --preset, --init, --steps, '
                     '--resume and --dry-run')
    if not (args.family or args.resume or args.recipe):
        parser.error('give --family or --recipe to start a run, or --resume to continue one')
    return args


def settings(args: argparse.Namespace) -> tuple[RunConfig, list[dict]]:
    """The resolved config and the overrides of the command line; ValueError names what does not fit."""
    config, overrides = _resolved(args)
    if args.root and len(args.root) > 1 and not isinstance(config.data, ParsingData):
        raise ValueError(f'{config.family} is trained on one folder; give --root once')
    return config, overrides


def command_line_overrides(args: argparse.Namespace) -> list[dict]:
    """Nested settings of the options."""
    options = {'data.name': args.data, 'data.root': os.pathsep.join(args.root) if args.root else None,
               'engine.steps': args.steps, 'model.init': args.init if _has_own_init(args.family) else None}
    overrides = [parse_override(text) for text in args.set]
    for path, value in options.items():
        if value is not None:
            section, key = path.split('.')
            overrides.append({section: {key: value}})
    return overrides


def _resolved(args: argparse.Namespace) -> tuple[RunConfig, list[dict]]:
    overrides = command_line_overrides(args)
    if args.resume:
        family = load(args.resume / 'config.yaml').family
        if args.family not in (None, family):
            raise ValueError(f'{args.resume} is a run of {family}, not of {args.family}; omit --family')
        return resumed(args.resume, overrides), overrides
    return started(args.family, args.preset or _preset(args.family), overrides), overrides


def _preset(family: str) -> str | None:
    """The preset named like a family, None if there is none."""
    return family if (PRESETS / f'{family}.yaml').is_file() else None


def _has_own_init(family: str | None) -> bool:
    """Whether the config of a family names its initial weights."""
    return family is not None and 'init' in family_entry(family).load()[1].model_fields


def build(args: argparse.Namespace) -> Training:
    """The training; nothing is written."""
    config, overrides = settings(args)
    folder = run_folder(config.family, args.out, args.resume)
    fixed = {name for override in overrides for name in override.get('model', {})}
    init = Path(args.init) if args.init and not _has_own_init(args.family) else None
    return build_training(config, folder, resume=bool(args.resume), init=init, fixed=fixed)


def help_config(family: str | bool) -> list[str]:
    """Lines of --help-config. family: its name, with the values of its preset as defaults; False for the settings that all
    families have."""
    if isinstance(family, str):
        entry = family_entry(family)
        return describe_run(entry.load()[1], entry.data_section, started(family, _preset(family), []))
    return [*describe_run(), f'families: {", ".join(FAMILIES)}; --help-config FAMILY adds the settings of its model and data']


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    if args.help_config is not None:
        print(*help_config(args.help_config), sep='\n')
        return 0
    try:
        if args.recipe:
            name, recipe = read_recipe(args.recipe)
            return train_recipe(recipe, args.out or Path('runs') / name, command_line_overrides(args), 'train.py')
        training = build(args)
        if args.dry_run:
            dry_run(training)
            return 0
        training.begin()
    except (ValueError, OSError, WeightsError, RunError) as error:
        print(f'train.py: {error}', file=sys.stderr)
        return 2
    return complete(training.engine, 'train.py', training.finish)


if __name__ == '__main__':
    sys.exit(run_script(main))
