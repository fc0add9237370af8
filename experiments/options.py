"""Command-line options that several scripts share."""
import argparse
import sys

import torch

from models.pipelines.io.provenance import POLICIES, resolve_signing


def parse_device(text: str) -> str:
    """The name of a torch device that this machine has; argparse.ArgumentTypeError otherwise."""
    try:
        device = torch.device(text)
        if device.type == 'cuda':
            available = (device.index or 0) < torch.cuda.device_count()
        else:
            torch.empty(0, device=device)
            available = device.type != 'meta'
    except (RuntimeError, AssertionError, NotImplementedError, ImportError):
        available = False
    if not available:
        raise argparse.ArgumentTypeError(f'PyTorch finds no device {text}; use --device cpu')
    return text


def add_device_option(parser: argparse._ActionsContainer, use: str = 'torch device') -> None:
    """Add --device. Its default is the first GPU, or the CPU. use: beginning of the help text."""
    parser.add_argument('--device', type=parse_device, default='cuda' if torch.cuda.is_available() else 'cpu',
                        help=f'{use} (%(default)s)')


def add_provenance_options(parser: argparse._ActionsContainer) -> None:
    """Add --provenance and --no-provenance."""
    parser.add_argument('--provenance', choices=POLICIES, default='require', help='Content Credentials: required (default), '
                        'written if possible, or off')
    parser.add_argument('--no-provenance', dest='provenance', action='store_const', const='off', help='same as --provenance off')


def is_signed(args: argparse.Namespace) -> bool:
    """Whether outputs get Content Credentials under the policy --provenance. With `if-possible` the reason for unsigned outputs
    is printed as a note. ProvenanceError as models.pipelines.io.provenance.resolve_signing."""
    signed, note = resolve_signing(args.provenance)
    if note:
        print(f'note: {note}', file=sys.stderr)
    return signed


class RenamedOption(argparse.Action):
    """Action of argparse for the former name of an option: stores the value (True with nargs=0) under the new name and prints a
    note."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: object,
                 option_string: str | None = None) -> None:
        new = f'--{self.dest.replace("_", "-")}'
        print(f'note: the option {option_string} is now called {new}', file=sys.stderr)
        setattr(namespace, self.dest, True if self.nargs == 0 else values)
