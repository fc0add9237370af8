"""Web page for face swapping, translation and sampling, and for viewing data sets and runs.

    python scripts/app.py
    python scripts/app.py --runs runs outputs --data webcaricature --root FOLDER
    python scripts/app.py --host 0.0.0.0 --password

The page is reachable from this machine only unless --host and --password are given; the user name is then `face`. A password
without a value is prompted for. The page loads nothing from the network and sends no telemetry.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from experiments.console import quiet_interrupts, run_script
from experiments.options import add_device_option

quiet_interrupts()

import argparse
from getpass import getpass

from app.albums import DiskAlbum
from app.page import LOOPBACK, Settings, serve
from datasets.registry import FACES
from models.pipelines.io.provenance import check_signing
from models.weights import WeightsError

_PROMPT = ''  # value of --password without an argument


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--runs', type=Path, nargs='+', default=[Path('runs'), Path('outputs')], metavar='FOLDER',
                        help='folders of runs and results (runs outputs)')
    parser.add_argument('--data', choices=FACES, help='data set to view')
    parser.add_argument('--root', type=Path, help='folder of the data set')
    parser.add_argument('--host', default=LOOPBACK, help='address to listen on (%(default)s); other addresses require --password')
    parser.add_argument('--port', type=int, help='port (the first free one from 7860)')
    parser.add_argument('--password', nargs='?', const=_PROMPT, help='password of the page')
    add_device_option(parser)
    args = parser.parse_args(argv)
    if bool(args.data) != bool(args.root):
        parser.error('--data and --root require each other')
    if args.port is not None and not 0 < args.port < 65536:
        parser.error(f'--port {args.port}: must be from 1 to 65535')
    if args.host != LOOPBACK and args.password is None:
        parser.error(f'--host {args.host} requires --password')
    return args


def run(args: argparse.Namespace) -> None:
    password = args.password
    if password == _PROMPT:
        password = getpass('password of the page: ')
        if not password:
            raise ValueError('the password is empty; give another one')
    check_signing()
    albums = {f'{args.data}: {args.root.name}': DiskAlbum(args.data, args.root)} if args.data else {}
    serve(Settings([path.resolve() for path in args.runs], albums, args.device), host=args.host, port=args.port,
          password=password)


def main(argv: list[str] | None = None) -> int:
    try:
        run(parse(argv))
    except (ValueError, OSError, WeightsError) as error:
        print(f'app.py: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(run_script(main))
