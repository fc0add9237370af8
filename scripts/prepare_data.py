"""Prepare data sets for training.

    python scripts/prepare_data.py faces PHOTOS -o FOLDER --layout celeba
    python scripts/prepare_data.py pack --data celeba --root FOLDER -o CACHE --size 128
    python scripts/prepare_data.py label CACHE
    python scripts/prepare_data.py embed CACHE
    python scripts/prepare_data.py reverse CACHE
    python scripts/prepare_data.py pseudo-labels --data celeba --root FOLDER -o CACHE
    python scripts/prepare_data.py webcaricature ROOT -o FOLDER

`faces` detects, aligns and filters faces; FOLDER/report.csv lists the result for each photo. `pack` writes a data set into a
memory-mapped cache, which train.py reads with --data cache --root CACHE; `label` adds parsing maps and `embed` adds identity
embeddings, which a training run then does not compute; `reverse` adds reversed pairs, swaps of other identities onto training
images, which train.py adds with --set data.reversed=0.5. `pseudo-labels` packs a data set with cleaned parsing maps of a face
parser, the training data of train.py --family parser. `webcaricature` aligns and filters WebCaricature; FOLDER/dropped.png shows
excluded images, by reason.

A command that is interrupted, or stopped by a full disk, is repeated with the same arguments: `embed` and `webcaricature`
restart, the other commands resume, and the result is the same to the byte.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from experiments.console import quiet_interrupts, run_script

quiet_interrupts()

import argparse
import os
from collections import Counter
from collections.abc import Callable

import torch

from datasets.cache import embed, label, pack
from datasets.preparation.photos import LAYOUTS, Rules, prepare
from datasets.preparation.pseudo_labels import write_pseudo_labels
from datasets.preparation.webcaricature import Filter, filter_images
from datasets.registry import FACES, build_faces
from datasets.reversal import reverse_cache
from datasets.transforms.joint import face_frame
from experiments.options import RenamedOption
from models.geometry import FACE_SIDE, TEMPLATES
from models.perception.build import EMBEDDERS, PARSERS, fingerprint, load_embedder, load_parser
from models.perception.detection import DETECTORS
from models.weights import WeightsError


def add_faces(commands: argparse._SubParsersAction) -> None:
    rules = Rules()
    faces = commands.add_parser('faces', help='detect, align and filter the faces of a folder of photos')
    faces.add_argument('photos', type=Path, help='photos, in one folder per identity or named IDENTITY__ANYTHING')
    faces.add_argument('--layout', choices=LAYOUTS, default='celeba', help='layout of the data set (%(default)s)')
    faces.add_argument('--detector', choices=DETECTORS, default='mtcnn', help='face detector (%(default)s)')
    faces.add_argument('--score', type=float, default=rules.score, help='smallest confidence of the detector (%(default)s)')
    faces.add_argument('--eyes', type=float, default=rules.eyes,
                       help='smallest distance between the eyes in pixels of the photo (%(default)s)')
    faces.add_argument('--misfit', type=float, default=rules.misfit,
                       help='largest root mean square distance of the landmarks from the template in eye distances (%(default)s)')
    faces.add_argument('--several', choices=('largest', 'drop'), default=rules.several,
                       help='photos with more than one face: keep the largest face or drop the photo (%(default)s)')
    add_output(faces, prepare_faces)


def add_pack(commands: argparse._SubParsersAction) -> None:
    packing = commands.add_parser('pack', help='pack a data set into a memory-mapped cache')
    packing.add_argument('--data', choices=[name for name in FACES if name != 'cache'], required=True, help='data set')
    packing.add_argument('--root', type=Path, required=True, help='folder of the data set')
    packing.add_argument('--size', type=int, default=128, help='side of the packed images in pixels (%(default)s)')
    packing.add_argument('--side', type=float, default=FACE_SIDE,
                         help='side of the packed square in CelebA pixels; above %(default)s leaves room for augmentation')
    packing.add_argument('--canvas', action='store_true', help='pack the whole aligned 178x218 image instead of a square')
    add_output(packing, pack_faces)


def add_pseudo_labels(commands: argparse._SubParsersAction) -> None:
    labeling = commands.add_parser('pseudo-labels', help='pack a data set with parsing maps for the training of a parser')
    labeling.add_argument('--data', choices=[name for name in FACES if name != 'cache'], default='celeba',
                          help='data set (%(default)s)')
    labeling.add_argument('--root', type=Path, required=True, help='folder of the data set')
    labeling.add_argument('--parser', choices=PARSERS, default='parsing-unet-small', help='face parser (%(default)s)')
    add_output(labeling, label_faces)


def add_output(command: argparse.ArgumentParser, run: Callable[[argparse.Namespace], None]) -> None:
    command.add_argument('-o', '--output', type=Path, required=True, help='folder to write')
    command.add_argument('--workers', type=int, default=os.cpu_count(), help='processes (%(default)s)')
    command.set_defaults(run=run)


def add_label(commands: argparse._SubParsersAction) -> None:
    labeling = commands.add_parser('label', help='add parsing maps to a cache')
    labeling.add_argument('cache', type=Path, help='folder written by `pack`')
    labeling.add_argument('--parser', choices=PARSERS, default='parsing-unet', help='face parser (%(default)s)')
    labeling.set_defaults(run=label_cache)


def add_embed(commands: argparse._SubParsersAction) -> None:
    embedding = commands.add_parser('embed', help='add identity embeddings to a cache')
    embedding.add_argument('cache', type=Path, help='folder written by `pack`')
    embedding.add_argument('--embedder', choices=EMBEDDERS, default='identity-mobilefacenet',
                           help='identity encoder (%(default)s)')
    embedding.add_argument('--identity', dest='embedder', choices=EMBEDDERS, action=RenamedOption, help=argparse.SUPPRESS)
    embedding.set_defaults(run=embed_cache)


def add_reverse(commands: argparse._SubParsersAction) -> None:
    reversing = commands.add_parser('reverse', help='add reversed pairs to a cache')
    reversing.add_argument('cache', type=Path, help='folder written by `pack`, with parsing maps')
    reversing.add_argument('--weights', default='cgan', metavar='NAME|FILE',
                           help='weights of the swapper: a name in models.weights or a family.safetensors (%(default)s)')
    reversing.add_argument('--per-image', type=int, default=2, help='swaps per image (%(default)s)')
    reversing.add_argument('--seed', type=int, default=0, help='random seed of the swapped identities (%(default)s)')
    reversing.set_defaults(run=add_reversed_pairs)


def add_webcaricature(commands: argparse._SubParsersAction) -> None:
    limits = Filter()
    filtering = commands.add_parser('webcaricature', help='align WebCaricature and leave out invalid landmarks and side faces')
    filtering.add_argument('root', type=Path, help='folder with OriginalImages and FacialPoints')
    filtering.add_argument('--area', type=float, default=limits.area,
                           help='largest fraction of the canvas inside a circle around a template point through the aligned '
                                'point (%(default)s)')
    filtering.add_argument('--yaw', type=float, default=limits.yaw, help='largest absolute yaw in degrees (%(default)s)')
    filtering.add_argument('-o', '--output', type=Path, required=True, help='folder to write')
    filtering.set_defaults(run=filter_webcaricature)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='command', required=True)
    for add in (add_faces, add_pack, add_label, add_embed, add_reverse, add_pseudo_labels, add_webcaricature):
        add(commands)
    args = parser.parse_args(argv)
    if args.command == 'pack' and (args.size < 8 or args.side < 8):
        parser.error('--size and --side must be at least 8')
    if args.command == 'reverse' and args.per_image < 1:
        parser.error('--per-image must be at least 1')
    return args


def print_progress(done: int, total: int) -> None:
    if done % 64 == 0 or done == total:
        print(f'\r{done} of {total} images', end='\n' if done == total else '', file=sys.stderr, flush=True)


def print_counts(folder: Path, counts: Counter) -> None:
    print(f'{folder}: ' + ', '.join(f'{count} {reason}' for reason, count in counts.most_common()))


def prepare_faces(args: argparse.Namespace) -> None:
    rules = Rules(args.score, args.eyes, args.misfit, args.several)
    print_counts(args.output, prepare(args.photos, args.output, layout=args.layout, rules=rules, detector=args.detector,
                                      workers=args.workers, progress=print_progress))


def pack_faces(args: argparse.Namespace) -> None:
    template = TEMPLATES['celeba'] if args.canvas else face_frame(args.size, args.side)
    packed = pack(build_faces(args.data, args.root), args.output, template, workers=args.workers)
    print(f'{args.output}: {len(packed)} images of {len(packed.identity_names)} identities')


def label_cache(args: argparse.Namespace) -> None:
    labeled = label(args.cache, load_parser(args.parser).labels, name=args.parser, progress=print_progress)
    print(f'{args.cache}: {len(labeled)} images with parsing maps')


def embed_cache(args: argparse.Namespace) -> None:
    embedded = embed(args.cache, fingerprint(args.embedder), load_embedder(args.embedder), progress=print_progress)
    print(f'{args.cache}: {len(embedded)} images with identity embeddings')


def add_reversed_pairs(args: argparse.Namespace) -> None:
    pairs = reverse_cache(args.cache, args.weights, per_image=args.per_image, seed=args.seed, progress=print_progress)
    print(f'{args.cache}: {pairs} reversed pairs')


def label_faces(args: argparse.Namespace) -> None:
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    parser = load_parser(args.parser).to(device)

    @torch.no_grad()
    def probability(images: torch.Tensor) -> torch.Tensor:
        return parser(images.to(device), template='celebahq').softmax(1)

    labeled = write_pseudo_labels(build_faces(args.data, args.root), args.output, probability, name=args.parser,
                                  workers=args.workers, progress=print_progress)
    print(f'{args.output}: {len(labeled)} images with parsing maps')


def filter_webcaricature(args: argparse.Namespace) -> None:
    print_counts(args.output, filter_images(args.root, args.output, Filter(args.area, args.yaw), progress=print_progress))


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    try:
        args.run(args)
    except (ValueError, OSError, WeightsError) as error:
        print(f'prepare_data.py: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(run_script(main))
