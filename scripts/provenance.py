"""Show what a PNG, JPEG or MP4 says of how it was made, and whether it was changed since.

    python scripts/provenance.py FILE [FILE ...]

Exit 0: every file is as it was signed. 1: one has no Content Credentials, or was changed after it was signed. 2: one cannot be
read. A file without credentials may be genuine, or made by tools that write none, or have been stripped of them.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from experiments.console import quiet_interrupts, run_script

quiet_interrupts()

import argparse

from models.pipelines.io.provenance import COMPOSITE_MEDIA, GENERATED_MEDIA, Credentials, ProvenanceError, inspect

SOURCES = {COMPOSITE_MEDIA: 'made by a trained model in part', GENERATED_MEDIA: 'made by a trained model as a whole'}


def lines(found: Credentials) -> list[str]:
    """What there is to say of a file, a line for each fact."""
    if not found.present:
        return ['no Content Credentials']
    said = ['intact: as it was signed' if found.intact else f'CHANGED since it was signed ({", ".join(found.problems)})',
            f'signed by {found.signer or "somebody unnamed"}' + (', on this machine' if found.signed_locally else
                                                                 ', with a certificate that this machine does not know')]
    said += [f'{what}: {value}' for what, value in (('title', found.title), ('signed at', found.signed_at),
                                                    ('source', SOURCES.get(found.source_type, found.source_type))) if value]
    if found.generation_info:
        said += [f'done: {found.generation_info.description}', f'model: {found.generation_info.model}']
        said += [f'weights: {name} sha256 {digest}' for name, digest in found.generation_info.weights.items()]
    return [''.join(sign for sign in line if sign.isprintable()) for line in said]  # the file may come from anybody


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('files', nargs='+', type=Path, metavar='FILE')
    status = 0
    for file in parser.parse_args(argv).files:
        try:
            found = inspect(file)
        except (ProvenanceError, OSError) as error:
            print(f'provenance.py: {error}', file=sys.stderr)
            status = 2
            continue
        print(file, *lines(found), sep='\n  ')
        status = max(status, 0 if found.intact else 1)
    return status


if __name__ == '__main__':
    sys.exit(run_script(main))
