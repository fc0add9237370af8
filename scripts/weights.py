"""Weights of other people and of our own: what there is, fetch it, check it, convert it.

    python scripts/weights.py list [NAME ...]          what there is, and what of it is here; with NAME everything about it
    python scripts/weights.py fetch NAME ...           download into the cache ($FACE_WEIGHTS_DIR or ~/.cache/face-swap-suite)
    python scripts/weights.py verify [NAME ...]        compare sha256 of what is here; exit 1 if one is wrong or missing
    python scripts/weights.py convert NAME             write named tensors as safetensors into the cache
    python scripts/weights.py halve FILE OUT           a run's safetensors in half precision, as in models/zoo
    python scripts/weights.py translator PRESET SOURCE OUT   a published translator as a family.safetensors of ours

fetch asks for --allow-unverified where no sha256 is published: the file is then taken as it comes, its sha256 is noted beside
it, and verify compares with that. convert asks for --unpickle where the file is a pickled program (SimSwap's ArcFace): it
then takes the tensors out with a reader that knows containers and tensors only, puts empty classes in place of the network's
own, runs none of the file's code, and refuses a file that names anything else.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from experiments.training.interruption import quiet_interrupts, run_script

quiet_interrupts()

import argparse

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from models import weights

STATES = {'right': 'here', 'unchanged': 'here, as it was fetched (no sha256 is published)', 'absent': 'not here',
          'unknown': 'here, sha256 unknown', 'wrong': 'here, but its sha256 is WRONG: delete it and fetch again'}


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='command', required=True, metavar='list|fetch|verify|convert|halve|translator')
    commands.add_parser('list').add_argument('names', nargs='*', metavar='NAME')
    fetch = commands.add_parser('fetch')
    fetch.add_argument('names', nargs='+', metavar='NAME')
    fetch.add_argument('--allow-unverified', action='store_true', help='take a file of which no sha256 is published')
    commands.add_parser('verify').add_argument('names', nargs='*', metavar='NAME')
    convert = commands.add_parser('convert')
    convert.add_argument('name', metavar='NAME')
    convert.add_argument('--source', type=Path, help='the published file, if it is not the fetched one')
    convert.add_argument('--out', type=Path, help='where to write (default: the cache)')
    convert.add_argument('--unpickle', action='store_true', help='consent to read a pickled program, without running its code')
    halve = commands.add_parser('halve')
    halve.add_argument('file', type=Path, metavar='FILE')
    halve.add_argument('out', type=Path, metavar='OUT')
    translator = commands.add_parser('translator')
    translator.add_argument('preset', metavar='PRESET', help='whose networks these are, such as cyclegan or stargan')
    translator.add_argument('source', type=Path, metavar='SOURCE', help='the published file, or the folder of the published run')
    translator.add_argument('out', type=Path, metavar='OUT')
    translator.add_argument('--epoch', default='latest', help='first part of the file names in a folder')
    translator.add_argument('--set', action='append', default=[], metavar='KEY=VALUE', help='as for train.py')
    return parser.parse_args(argv)


def _megabytes(size: int | None) -> str:
    return '?' if size is None else f'{size / 1e6:.1f}'


def list_all() -> None:
    table = Table('name', 'MB', 'here', 'format', 'license', box=None, pad_edge=False)
    for found in weights.TABLE.values():
        here = 'yes' if found.path.is_file() else 'no'
        table.add_row(found.name, _megabytes(found.size), here, found.format, found.license)
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def describe(name: str) -> None:
    found = weights.entry(name)
    print(f'{name}: {STATES[weights.verify(name)]}')
    for title, value in (('file', found.path), ('address', found.address or 'comes with the suite'), ('sha256', found.sha256),
                         ('megabytes', _megabytes(found.size)), ('format', found.format), ('license', found.license),
                         ('citation', found.citation)):
        print(f'  {title:10}{value or "not published"}')


def fetch(names: list[str], allow_unverified: bool) -> None:
    columns = TextColumn('{task.description}'), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    for name in names:
        with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
            task = bar.add_task(name, total=weights.entry(name).size)
            file = weights.fetch(name, allow_unverified=allow_unverified,
                                 progress=lambda done, total, task=task, bar=bar: bar.update(task, completed=done, total=total))
        print(f'{name}: {file}')


def verify(names: list[str]) -> int:
    """1 where a named file, or any file that is here, is not what it should be."""
    bad = 0
    for name in names or [found.name for found in weights.TABLE.values() if found.in_zoo or found.path.is_file()]:
        state = weights.verify(name)
        bad |= state in ('wrong', 'absent')
        print(f'{name}: {STATES[state]}')
    return bad


def adopt(args: argparse.Namespace) -> None:
    """Write a published translator as train.py would; ValueError or WeightsError where that is impossible."""
    from configs.resolve import checked, parse_override, read_preset, resolve
    from experiments.training.checkpoint import save_family
    from models.registry import family_types
    from models.translation.published import load_published

    preset = read_preset(args.preset)
    kind, schema = family_types(preset['family'])
    config = resolve(preset['family'], schema().model_dump(), preset, [parse_override(text) for text in args.set])
    family = kind(checked(schema, config.model), None)
    load_published(family, args.preset, args.source, args.epoch)
    save_family(args.out, config.family, family.state_dict(), family.config)
    print(args.out)


def run(args: argparse.Namespace) -> int:
    if args.command == 'fetch':
        fetch(args.names, args.allow_unverified)
    elif args.command == 'verify':
        return verify(args.names)
    elif args.command == 'convert':
        from models.convert import convert  # PyTorch takes seconds to load and the other commands do without it

        for file in convert(args.name, source=args.source, out=args.out, unpickle=args.unpickle):
            print(file)
    elif args.command == 'halve':
        from models.convert import halve

        print(halve(args.file, args.out))
    elif args.command == 'translator':
        adopt(args)
    elif args.names:
        for name in args.names:
            describe(name)
    else:
        list_all()
    return 0


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    try:
        return run(args)
    except (weights.WeightsError, ValueError, OSError) as error:
        print(f'weights.py: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('stopped; the same command continues where it was', file=sys.stderr)
        return 130


if __name__ == '__main__':
    sys.exit(run_script(main))
