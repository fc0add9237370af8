"""Train the network that reads off a drawn face what it was drawn from, and say how well it does.

    python scripts/train_causes.py
    python scripts/train_causes.py --resume RUN
    python scripts/train_causes.py --evaluate FILE

The run folder gets causes.safetensors, which `evaluate.py --causes` takes: the protocol `synthetic` then measures swaps in the
renderer's own parameters.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from experiments.console import quiet_interrupts, run_script

quiet_interrupts()

import argparse
from itertools import islice

import torch

from configs.resolve import checked, parse_override
from configs.schema import RunConfig
from datasets.loaders import build_loader
from datasets.samples.causes import CAUSES, RenderedCauses
from experiments.evaluation.protocols.causes import measure_causes
from experiments.training.completion import complete
from experiments.training.engine import Engine
from experiments.training.errors import RunError
from experiments.training.fabric import build_fabric
from experiments.training.run_folder import run_folder
from experiments.training.settings import resumed, started
from models.batch import CauseBatch
from models.perception.causes import CauseTraining, CauseTrainingConfig, causes_bytes, load_causes
from models.storage.files import write_bytes
from models.weights import WeightsError


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--preset', default='causes', help='YAML file, or its name in configs/')
    parser.add_argument('--steps', type=int, help='updates')
    parser.add_argument('--set', action='extend', nargs='+', default=[], metavar='KEY=VALUE',
                        help='any settings, such as engine.seed=1')
    parser.add_argument('--out', type=Path, help='run folder (default runs/causes-DATE)')
    parser.add_argument('--resume', type=Path, metavar='RUN', help='go on with a run folder')
    parser.add_argument('--evaluate', type=Path, metavar='FILE', help='measure a causes.safetensors instead of training one')
    args = parser.parse_args(argv)
    if args.resume and (args.out or args.evaluate):
        parser.error('--resume takes its folder from the run and excludes --evaluate')
    return args


def settings(args: argparse.Namespace) -> RunConfig:
    """The resolved config; ValueError names what does not fit."""
    given = {} if args.steps is None else {'engine': {'steps': args.steps}}
    overrides = [given, *(parse_override(text) for text in args.set)]
    if args.resume:
        return resumed(args.resume, overrides, CauseTrainingConfig, CauseBatch)
    return started('causes', CauseTrainingConfig, CauseBatch, args.preset, overrides,
                   defaults=CauseTrainingConfig(causes=len(CAUSES)))


def build(args: argparse.Namespace) -> Engine:
    config = settings(args)
    model, data, seed = checked(CauseTrainingConfig, config.model), config.data, config.engine.seed
    folder = run_folder('causes', args.out, args.resume)
    fabric = build_fabric(config.engine)
    torch.manual_seed(seed)
    family = CauseTraining(model)
    loader = build_loader(RenderedCauses('train', model.size, seed=seed), data.batch, seed=seed, workers=data.workers,
                          rank=fabric.global_rank, world_size=fabric.world_size)
    held = build_loader(RenderedCauses('validation', model.size), data.batch, shuffle=False)
    engine = Engine(config, family, loader, fabric=fabric, folder=fabric.broadcast(folder),
                    validation=list(islice(held, data.validation_batches)))
    if args.resume:
        engine.resume()
    return engine


def evaluate(file: Path) -> None:
    """Print how well a reader does."""
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    row = measure_causes(load_causes(file).to(device), device=device)
    worst = ', '.join(f'{name} {ratio:.2f}' for name, ratio in row['worst'].items())
    print(f'{file}: identity error {row["cause_identity"]:.3f} (guessing the mean: {row["guess"]["cause_identity"]:.3f}), '
          f'attribute error {row["cause_attributes"]:.3f} ({row["guess"]["cause_attributes"]:.3f}), switches right '
          f'{row["attributes"]:.3f}, on {row["images"]} test faces; read worst, error against guessing: {worst}')


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    try:
        if args.evaluate:
            evaluate(args.evaluate)
            return 0
        engine = build(args)
    except (ValueError, OSError, WeightsError, RunError) as error:
        print(f'train_causes.py: {error}', file=sys.stderr)
        return 2

    def finish() -> None:
        file = engine.folder / 'causes.safetensors'
        with engine.ema.applied():
            write_bytes(file, causes_bytes(engine.family))
        evaluate(file)

    return complete(engine, 'train_causes.py', finish)


if __name__ == '__main__':
    sys.exit(run_script(main))
