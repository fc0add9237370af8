"""The option --provenance of scripts that write signed images and videos."""
import argparse
import sys

from models.pipelines.io.provenance import POLICIES, resolve_signing


def add_provenance_options(parser: argparse._ActionsContainer) -> None:
    parser.add_argument('--provenance', choices=POLICIES, default='require', help='Content Credentials: required (default), '
                        'written if possible (else a note says why not), or off, for research')
    parser.add_argument('--no-provenance', dest='provenance', action='store_const', const='off', help='= --provenance off')


def signs(args: argparse.Namespace) -> bool:
    """Whether the output is signed; a note is printed where it was to be if possible and is not.
    ProvenanceError as `resolve_signing`."""
    signed, note = resolve_signing(args.provenance)
    if note:
        print(f'note: {note}', file=sys.stderr)
    return signed
