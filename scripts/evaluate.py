"""Measure a run, or the pictures of another system, by a fixed protocol.

    python scripts/evaluate.py --run RUN
    python scripts/evaluate.py --run RUN --protocol celeba --root CELEBA --against PICTURES_FOLDER
    python scripts/evaluate.py --family cvae --protocol folder --root SOURCES --targets TARGETS

Every table carries its sanity rows: copies of target and source, cut and paste, and the truth where it is known. An outside
system enters with a folder of pictures named by the rows of pairs.csv: 000000.png, 000001.png, ...
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import argparse

import torch

from configs.resolve import load
from configs.schema import PerceptionConfig
from experiments.evaluation import Evaluation
from experiments.files import write_atomically
from experiments.judges import Judges
from experiments.measures import DEFAULT_COLUMNS, MEASURES
from experiments.protocols.swaps import PROTOCOLS, build_protocol
from experiments.systems import Pictures, System, Trained, sanity_rows
from experiments.tables import Table, from_evaluation
from models import weights
from models.perception.bundle import EMBEDDERS, build_perception
from models.registry import FAMILIES, load_family


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--run', type=Path, action='append', default=[], help='run folder; may be given several times')
    parser.add_argument('--family', choices=FAMILIES, action='append', default=[], help="a family with the zoo's weights")
    parser.add_argument('--against', type=Path, action='append', default=[], metavar='PICTURES_FOLDER',
                        help='pictures of another system')
    parser.add_argument('--protocol', choices=PROTOCOLS, default='synthetic')
    parser.add_argument('--root', help='folder of the data set; of the sources for the protocol folder')
    parser.add_argument('--targets', help='second folder of the protocol folder')
    parser.add_argument('--count', type=int, help="pairs (the protocol's own number)")
    parser.add_argument('--size', type=int, help="side of the pictures in pixels (the protocol's own)")
    parser.add_argument('--judge', choices=EMBEDDERS, help='judge of identity (one that the runs have not learnt from)')
    parser.add_argument('--causes', type=Path, help='reader of causes for the protocol synthetic')
    parser.add_argument('--columns', nargs='+', choices=MEASURES, default=DEFAULT_COLUMNS, metavar='MEASURE')
    parser.add_argument('--no-sanity', action='store_true', help='leave the sanity rows out')
    parser.add_argument('-o', '--out', type=Path, help='folder (default RUN/evaluation, or outputs/evaluation)')
    parser.add_argument('--batch', type=int, default=16, help='pairs at a time (%(default)s)')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    args = parser.parse_args(argv)
    if not (args.run or args.family or args.against):
        parser.error('give something to measure: --run, --family or --against')
    return args


def systems(args: argparse.Namespace) -> tuple[list[System], set[str]]:
    """What is measured, and the embedders that took part in its training."""
    found, teachers = [], set()
    named = [(run.name, run / 'family.safetensors', load(run / 'config.yaml').perception) for run in args.run]
    named += [(family, weights.path(family), PerceptionConfig()) for family in args.family]
    for name, file, looks in named:
        family = load_family(file, build_perception(looks.identity, None, looks.parser).to(args.device)).to(args.device)
        found.append(Trained(name, family, file))
        teachers |= {looks.identity, looks.teacher or looks.identity}
    return found + [Pictures(folder.name, folder) for folder in args.against], teachers


def evaluate(args: argparse.Namespace) -> tuple[Table, Path]:
    measured, teachers = systems(args)
    out = args.out or (args.run[0] if args.run else Path('outputs')) / 'evaluation'
    protocol = build_protocol(args.protocol, out / 'lists' / args.protocol, root=args.root, targets=args.targets, size=args.size,
                              count=args.count)
    judges = Judges(args.judge, trained_with=teachers, causes=args.causes, device=args.device)
    evaluation = Evaluation(protocol, judges, out, batch=args.batch)
    sanity = [] if args.no_sanity else sanity_rows(protocol.causes is not None)
    rows = [evaluation.row(system) for system in [*sanity, *measured]]
    table = from_evaluation(rows, args.columns, [system.name for system in sanity])
    for suffix, text in (('md', table.markdown()), ('csv', table.csv()), ('tex', table.latex())):
        write_atomically(evaluation.folder / f'table.{suffix}', text.encode())
    return table, evaluation.folder


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    try:
        table, folder = evaluate(args)
    except (ValueError, OSError, weights.WeightsError) as error:
        print(f'evaluate.py: {error}', file=sys.stderr)
        return 2
    print(table.markdown(), end='')
    print(f'\n{folder}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
