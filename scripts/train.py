"""Train a model family.

    python scripts/train.py --family cvae
    python scripts/train.py --family cvae --data celeba --root CELEBA --set data.batch=32 --set model.weights.id=0
    python scripts/train.py --resume RUN
    python scripts/train.py --help-config cvae
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from experiments.console import quiet_interrupts, run_script

quiet_interrupts()

import argparse
from itertools import islice

import torch
from lightning_fabric import Fabric

from configs.describe import describe
from configs.resolve import PRESETS, checked, load, parse_override
from configs.schema import RunConfig
from datasets.loaders import DATASETS, build_loader, build_samples
from datasets.transforms.matching import Matching
from experiments.training.completion import complete
from experiments.training.engine import Engine
from experiments.training.errors import RunError
from experiments.training.fabric import build_fabric
from experiments.training.run_folder import run_folder
from experiments.training.settings import resumed, started
from models.perception.build import build_perception, fingerprint
from models.registry import FAMILIES, family_types, load_weights
from models.weights import WeightsError


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--family', choices=FAMILIES, help='what to train')
    parser.add_argument('--preset', help='YAML file, or its name in configs/; default: the one named like the family')
    parser.add_argument('--data', choices=DATASETS, help='data set (default synthetic)')
    parser.add_argument('--root', help='folder of the data set')
    parser.add_argument('--steps', type=int, help='updates of each parameter group')
    parser.add_argument('--set', action='extend', nargs='+', default=[], metavar='KEY=VALUE',
                        help='any settings, such as engine.seed=1')
    parser.add_argument('--out', type=Path, help='run folder (default runs/FAMILY-DATE)')
    parser.add_argument('--init', type=Path, metavar='FILE', help="begin with another run's family.safetensors")
    parser.add_argument('--resume', type=Path, metavar='RUN', help='continue the run in this folder')
    parser.add_argument('--help-config', nargs='?', choices=FAMILIES, const=False, metavar='FAMILY',
                        help='print all settings, with those of a family, and exit')
    args = parser.parse_args(argv)
    if args.help_config is not None:
        return args
    if bool(args.family) == bool(args.resume):
        parser.error('give --family to start a run or --resume to go on with one')
    if args.resume and (args.preset or args.out or args.init):
        parser.error('--resume takes settings, folder and weights from the run; leave --preset, --out and --init away')
    return args


def settings(args: argparse.Namespace) -> RunConfig:
    """The resolved config; ValueError names what does not fit."""
    short = {'data.name': args.data, 'data.root': args.root, 'engine.steps': args.steps}
    overrides = [parse_override(text) for text in args.set]
    for path, value in short.items():
        if value is not None:
            section, key = path.split('.')
            overrides.append({section: {key: value}})
    if args.resume:
        kind, schema = family_types(load(args.resume / 'config.yaml').family)
        return resumed(args.resume, overrides, schema, kind.batch)
    has_preset = args.preset or (PRESETS / f'{args.family}.yaml').is_file()
    kind, schema = family_types(args.family)
    return started(args.family, schema, kind.batch, args.preset or args.family if has_preset else None, overrides)


def batches(config: RunConfig, kind: type, size: int, fabric: Fabric) -> tuple:
    """The endless loader of this process, and the fixed validation batches. kind: the type of the batches."""
    data, seed, encoder = config.data, config.engine.seed, fingerprint(config.perception.id_encoder)
    train = build_samples(kind, data.name, data.root, size, data.partition, same_ratio=data.same_ratio, seed=seed,
                          augment=data.augment, crops=data.crops, matching=Matching(**data.matching.model_dump()),
                          encoder=encoder)
    loader = build_loader(train, data.batch, seed=seed, workers=data.workers, rank=fabric.global_rank,
                          world_size=fabric.world_size)
    if data.validation_batches == 0:
        return loader, []
    held = build_samples(kind, data.name, data.root, size, data.validation_partition, same_ratio=data.same_ratio, seed=seed,
                         encoder=encoder)
    return loader, list(islice(build_loader(held, data.batch, seed=seed, shuffle=False), data.validation_batches))


def build(args: argparse.Namespace) -> Engine:
    config = settings(args)
    kind, schema = family_types(config.family)
    model = checked(schema, config.model)
    folder = run_folder(config.family, args.out, args.resume)
    fabric = build_fabric(config.engine)
    torch.manual_seed(config.engine.seed)
    family = kind(model, build_perception(**dict(config.perception)))
    if args.init:
        load_weights(family, args.init)
    loader, validation = batches(config, kind.batch, model.size, fabric)
    engine = Engine(config, family, loader, fabric=fabric, folder=fabric.broadcast(folder), validation=validation)
    if args.resume:
        engine.resume()
    return engine


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    if args.help_config is not None:
        print(*describe(RunConfig, family_types(args.help_config)[1] if args.help_config else None), sep='\n')
        return 0
    try:
        engine = build(args)
    except (ValueError, OSError, WeightsError, RunError) as error:
        print(f'train.py: {error}', file=sys.stderr)
        return 2
    return complete(engine, 'train.py', lambda: print(engine.folder / 'family.safetensors'))


if __name__ == '__main__':
    sys.exit(run_script(main))
