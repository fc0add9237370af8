"""List, fetch, verify and convert weights.

    python scripts/weights.py list [NAME ...]                list all weights, or the details of some
    python scripts/weights.py fetch NAME ...                 download to $FACE_WEIGHTS_DIR or ~/.cache/face-swap-suite
    python scripts/weights.py verify [NAME ...]              compare the sha256; exit status 1 if a file is wrong or missing
    python scripts/weights.py convert NAME                   convert fetched weights to safetensors
    python scripts/weights.py halve FILE OUT                 convert a safetensors file to half precision, as in models/zoo
    python scripts/weights.py translator PRESET SOURCE OUT   convert a published translator to a family.safetensors

fetch requires --allow-unverified for files without a published sha256 and records the sha256 of the download for verify. convert
requires --unpickle for a pickled network (ArcFace of SimSwap): a restricted reader resolves containers and tensors only, replaces
the classes of the network by empty ones, runs no code of the file, and rejects files with other names.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from experiments.console import quiet_interrupts, run_script

quiet_interrupts()

import argparse

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from models import weights

STATES = {'right': 'cached', 'unchanged': 'cached, unchanged since the download (no published sha256)', 'absent': 'not cached',
          'unknown': 'cached, sha256 unknown', 'wrong': 'cached, but its sha256 is WRONG: delete the file and fetch it again'}


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='command', required=True, metavar='list|fetch|verify|convert|halve|translator')
    listing = commands.add_parser('list', help='list the files, their sizes and licenses, and whether they are in the cache')
    listing.add_argument('names', nargs='*', metavar='NAME')
    fetch = commands.add_parser('fetch', help='download files to the cache')
    fetch.add_argument('names', nargs='+', metavar='NAME')
    fetch.add_argument('--allow-unverified', action='store_true', help='accept a file without a published sha256')
    verification = commands.add_parser('verify', help='check the sha256 of cached files')
    verification.add_argument('names', nargs='*', metavar='NAME')
    convert = commands.add_parser('convert', help='convert a published file to safetensors')
    convert.add_argument('name', metavar='NAME')
    convert.add_argument('--source', type=Path, help='published file (default: the fetched one)')
    convert.add_argument('--out', type=Path, help='output file (default: in the cache)')
    convert.add_argument('--unpickle', action='store_true', help='read a pickled network by the restricted reader')
    halve = commands.add_parser('halve', help='write a file with float16 weights')
    halve.add_argument('file', type=Path, metavar='FILE')
    halve.add_argument('out', type=Path, metavar='OUT')
    translator = commands.add_parser('translator', help='convert a published translator to the format of train.py')
    translator.add_argument('preset', metavar='PRESET', help='preset of the networks, such as cyclegan or stargan')
    translator.add_argument('source', type=Path, metavar='SOURCE', help='the published file, or the folder of the published run')
    translator.add_argument('out', type=Path, metavar='OUT')
    translator.add_argument('--epoch', default='latest', help='first part of the file names in a folder')
    translator.add_argument('--set', action='append', default=[], metavar='KEY=VALUE',
                            help='setting of the preset, as for train.py')
    return parser.parse_args(argv)


def _megabytes(size: int | None) -> str:
    return '?' if size is None else f'{size / 1e6:.1f}'


def list_all() -> None:
    table = Table('name', 'MB', 'cached', 'format', 'license', box=None, pad_edge=False)
    for record in weights.TABLE.values():
        is_cached = 'yes' if record.path.is_file() else 'no'
        table.add_row(record.name, _megabytes(record.size), is_cached, record.format, record.license)
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def describe(name: str) -> None:
    record = weights.entry(name)
    print(f'{name}: {STATES[weights.verify(name)]}')
    for title, value in (('file', record.path), ('address', record.address or 'part of the suite'), ('sha256', record.sha256),
                         ('megabytes', _megabytes(record.size)), ('format', record.format), ('license', record.license),
                         ('citation', record.citation)):
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
    """Exit status: 1 where a named file, or any file in the cache, is wrong or missing."""
    status = 0
    for name in names or [record.name for record in weights.TABLE.values() if record.in_zoo or record.path.is_file()]:
        state = weights.verify(name)
        status |= state in ('wrong', 'absent')
        print(f'{name}: {STATES[state]}')
    return status


def convert_translator(args: argparse.Namespace) -> None:
    """Write a published translator in the format of train.py; ValueError or WeightsError where it does not fit the preset."""
    from configs.resolve import checked, parse_override, read_preset, resolve
    from experiments.training.state.checkpoint import save_family
    from models.registry import family_entry
    from models.translation.published import load_published

    preset = read_preset(args.preset)
    entry = family_entry(preset['family'])
    family_type, schema = entry.load()
    config = resolve(preset['family'], schema().model_dump(), preset, [parse_override(text) for text in args.set],
                     entry.data_section)
    family = family_type(checked(schema, config.model), None)
    load_published(family, args.preset, args.source, args.epoch)
    save_family(args.out, config.family, family.state_dict(), family.config)
    print(args.out)


def run(args: argparse.Namespace) -> int:
    if args.command == 'fetch':
        fetch(args.names, args.allow_unverified)
    elif args.command == 'verify':
        return verify(args.names)
    elif args.command == 'convert':
        from models.conversion.convert import convert  # imports PyTorch, which takes seconds

        for file in convert(args.name, source=args.source, out=args.out, unpickle=args.unpickle):
            print(file)
    elif args.command == 'halve':
        from models.conversion.convert import halve

        print(halve(args.file, args.out))
    elif args.command == 'translator':
        convert_translator(args)
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
        print('stopped; the same command resumes', file=sys.stderr)
        return 130


if __name__ == '__main__':
    sys.exit(run_script(main))
