"""Make photos ready for training.

    python scripts/prepare_data.py faces PHOTOS -o FOLDER --layout celeba
    python scripts/prepare_data.py pack --data celeba --root FOLDER -o CACHE --size 128
    python scripts/prepare_data.py label CACHE
    python scripts/prepare_data.py embed CACHE
    python scripts/prepare_data.py reverse CACHE
    python scripts/prepare_data.py pseudo-labels --data celeba --root CELEBA -o CACHE
    python scripts/prepare_data.py webcaricature ROOT -o FOLDER

`faces` detects, aligns and filters; FOLDER/report.csv says what became of each photo. `pack` writes a data set into a
memory-mapped cache, which train.py reads with --data cache --root CACHE; `label` adds the parsing maps that a face parser sees,
and `embed` the identities that an identity encoder sees, so that a training run need not compute them. `pseudo-labels`
packs a data set with the label maps of a face parser, for train.py --family parser. `webcaricature` aligns
WebCaricature and leaves out what is not to be trained on; FOLDER/dropped.png shows what and why. A command that was interrupted,
or met a full disk, is given again: `faces`, `pack` and `label` go on where they stopped, `embed` and `webcaricature` begin anew,
and the result is the same to the byte.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from experiments.console import quiet_interrupts, run_script

quiet_interrupts()

import argparse
import os
from collections import Counter
from functools import partial

import torch

from datasets.cache import embed, label, pack
from datasets.loaders import FACES, build_faces
from datasets.preparation.photos import LAYOUTS, Rules, prepare
from datasets.preparation.pseudo_labels import LabeledFaces
from datasets.preparation.pseudo_labels import label as write_pseudo_labels
from datasets.preparation.webcaricature import Filter, filter_images
from datasets.samples.reversed import reverse
from datasets.transforms.joint import face_frame
from models import weights
from models.geometry import FACE_SIDE, TEMPLATES
from models.perception.build import EMBEDDERS, PARSERS, build_perception, fingerprint, load_embedder, load_parser
from models.perception.detection import DETECTORS
from models.registry import load_family
from models.swap.reversal import paste_swap
from models.weights import WeightsError


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    tasks = parser.add_subparsers(dest='task', required=True)
    rules = Rules()
    faces = tasks.add_parser('faces', help='detect, align and filter a folder of photos')
    faces.add_argument('photos', type=Path, help='photos, in a folder per person where persons are known')
    faces.add_argument('--layout', choices=LAYOUTS, default='celeba')
    faces.add_argument('--detector', choices=DETECTORS, default='mtcnn')
    faces.add_argument('--score', type=float, default=rules.score, help='least confidence of the detector (%(default)s)')
    faces.add_argument('--eyes', type=float, default=rules.eyes, help='least distance of the eyes in pixels (%(default)s)')
    faces.add_argument('--misfit', type=float, default=rules.misfit,
                       help='largest misfit of the landmarks in eye distances (%(default)s)')
    faces.add_argument('--several', choices=('largest', 'drop'), default=rules.several, help='photos with more than one face')
    packing = tasks.add_parser('pack', help='pack a data set into a memory-mapped cache')
    packing.add_argument('--data', choices=[name for name in FACES if name != 'cache'], required=True)
    packing.add_argument('--root', type=Path, required=True, help='folder of the data set')
    packing.add_argument('--size', type=int, default=128, help='side of the packed images in pixels (%(default)s)')
    packing.add_argument('--side', type=float, default=FACE_SIDE,
                         help='side of the packed square in CelebA pixels; above %(default)s leaves room for augmentation')
    packing.add_argument('--canvas', action='store_true', help='pack the whole aligned 178x218 image instead of a square')
    labelling = tasks.add_parser('label', help='add parsing maps to a cache')
    labelling.add_argument('cache', type=Path, help='folder that `pack` wrote')
    labelling.add_argument('--parser', choices=PARSERS, default='parsing-unet')
    embedding = tasks.add_parser('embed', help='add identities to a cache')
    embedding.add_argument('cache', type=Path, help='folder that `pack` wrote')
    embedding.add_argument('--identity', choices=EMBEDDERS, default='identity-mobilefacenet')
    reversing = tasks.add_parser('reverse', help='add reversed pairs to a cache: swaps of strangers onto its training images')
    reversing.add_argument('cache', type=Path, help='folder of `pack`, with label maps')
    reversing.add_argument('--weights', default='cgan',
                           help='swapper: a file of a run, or a name of the table of weights (%(default)s)')
    reversing.add_argument('--per-image', type=int, default=2, help='strangers per image (%(default)s)')
    reversing.add_argument('--seed', type=int, default=0, help='seed of the choice of strangers (%(default)s)')
    pseudo = tasks.add_parser('pseudo-labels', help='pack a data set with the label maps of a face parser, to train another')
    pseudo.add_argument('--data', choices=[name for name in FACES if name != 'cache'], default='celeba',
                        help='data set in the root (%(default)s)')
    pseudo.add_argument('--root', type=Path, required=True, help='folder of the data set')
    pseudo.add_argument('--parser', choices=PARSERS, default='parsing-unet-small', help='the parser (%(default)s)')
    limits = Filter()
    filtering = tasks.add_parser('webcaricature', help='align WebCaricature; leave out bad landmarks and side faces')
    filtering.add_argument('root', type=Path, help='folder that holds OriginalImages and FacialPoints')
    filtering.add_argument('--area', type=float, default=limits.area,
                           help='largest misfit of a landmark as a share of the canvas (%(default)s)')
    filtering.add_argument('--yaw', type=float, default=limits.yaw, help='largest turn to the side in degrees (%(default)s)')
    filtering.add_argument('-o', '--output', type=Path, required=True, help='folder to write')
    for task in (faces, packing, pseudo):
        task.add_argument('-o', '--output', type=Path, required=True, help='folder to write')
        task.add_argument('--workers', type=int, default=os.cpu_count(), help='processes (%(default)s)')
    args = parser.parse_args(argv)
    if args.task == 'pack' and (args.size < 8 or args.side < 8):
        parser.error('--size and --side are at least 8')
    if args.task == 'reverse' and args.per_image < 1:
        parser.error('--per-image is at least 1')
    return args


def progress(done: int, total: int) -> None:
    if done % 64 == 0 or done == total:
        print(f'\r{done} of {total} photos', end='\n' if done == total else '', file=sys.stderr, flush=True)


def faces(args: argparse.Namespace) -> None:
    rules = Rules(args.score, args.eyes, args.misfit, args.several)
    counts = prepare(args.photos, args.output, layout=args.layout, rules=rules, detector=args.detector, workers=args.workers,
                     progress=progress)
    print_counts(args.output, counts)


def reversed_pairs(args: argparse.Namespace) -> int:
    file = Path(args.weights) if args.weights.endswith('.safetensors') else weights.path(args.weights)
    swapper = load_family(file, build_perception())
    if swapper.task != 'swap':
        raise ValueError(f'{file} holds no swapper; give the weights of cgan, cvae or ddpm')
    swapper.eval()
    return reverse(args.cache, partial(paste_swap, swapper), swapper.perception.parser.labels, name=weights.digest(file),
                   per_image=args.per_image, seed=args.seed, progress=progress)


def pseudo_labels(args: argparse.Namespace) -> LabeledFaces:
    """The packed faces with the label maps of the parser."""
    parser = load_parser(args.parser)
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    parser.to(device)

    @torch.no_grad()
    def probability(images: torch.Tensor) -> torch.Tensor:
        return parser(images.to(device), template='celebahq').softmax(1)

    return write_pseudo_labels(build_faces(args.data, args.root), args.output, probability, name=args.parser,
                               workers=args.workers, progress=progress)


def print_counts(folder: Path, counts: Counter) -> None:
    print(f'{folder}: ' + ', '.join(f'{count} {reason}' for reason, count in counts.most_common()))


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    try:
        if args.task == 'faces':
            faces(args)
        elif args.task == 'webcaricature':
            print_counts(args.output, filter_images(args.root, args.output, Filter(args.area, args.yaw), progress=progress))
        elif args.task == 'label':
            labeled = label(args.cache, load_parser(args.parser).labels, name=args.parser, progress=progress)
            print(f'{args.cache}: {len(labeled)} images with parsing maps')
        elif args.task == 'reverse':
            print(f'{args.cache}: {reversed_pairs(args)} reversed pairs')
        elif args.task == 'pseudo-labels':
            labeled = pseudo_labels(args)
            print(f'{args.output}: {len(labeled)} images with labels')
        elif args.task == 'embed':
            embedded = embed(args.cache, fingerprint(args.identity), load_embedder(args.identity), progress=progress)
            print(f'{args.cache}: {len(embedded)} images with identities')
        else:
            to = TEMPLATES['celeba'] if args.canvas else face_frame(args.size, args.side)
            packed = pack(build_faces(args.data, args.root), args.output, to, workers=args.workers)
            print(f'{args.output}: {len(packed)} images of {len(packed.identity_names)} persons')
    except (ValueError, OSError, WeightsError) as error:
        print(f'prepare_data.py: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(run_script(main))
