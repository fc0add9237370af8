"""Put the face of one photo on another.

    python scripts/swap.py --demo
    python scripts/swap.py --source a.jpg --target b.jpg -o out.png
    python scripts/swap.py --pairs PAIRS.csv --root CELEBA -o FOLDER
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import argparse

import torch

from experiments.protocols.pairs import swap_pairs
from models import weights
from models.perception.bundle import build_perception
from models.perception.detection import DETECTORS, build_detector
from models.pipelines.demo import demo
from models.pipelines.images import check_name, read_picture, write_picture
from models.pipelines.photo import FaceSwapper
from models.registry import FAMILIES, load_family


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    task = parser.add_argument_group('what to swap')
    task.add_argument('--demo', action='store_true', help='swap between photographs that installed packages carry')
    task.add_argument('--source', type=Path, help='photo of the person whose face is wanted')
    task.add_argument('--target', type=Path, help='photo that gets the face')
    task.add_argument('--pairs', type=Path, help='CSV with the columns source,target: aligned pictures of --root')
    task.add_argument('--root', type=Path, help='CelebA folder of --pairs')
    task.add_argument('-o', '--output', type=Path, help='picture to write; with --demo and --pairs a folder')
    which = parser.add_argument_group('which faces')
    which.add_argument('--source-face', metavar='FACE', help='largest, or the number by size from 0')
    which.add_argument('--face', default='largest', help='of the target: largest (default), all, or the number by size')
    how = parser.add_argument_group('how')
    how.add_argument('--family', default='cvae', choices=FAMILIES, help='model family whose own weights are used')
    how.add_argument('--weights', type=Path, help='weights of a run (family.safetensors) instead')
    how.add_argument('--detector', default='mtcnn', choices=DETECTORS)
    how.add_argument('--no-colour', action='store_true', help="keep the generator's tones instead of matching the target's")
    how.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    how.add_argument('--batch', type=int, default=32, help='pairs at a time (default 32)')
    how.add_argument('--overwrite', action='store_true', help='with --pairs: also swap what is there already')
    args = parser.parse_args(argv)
    if (args.source is None) != (args.target is None) or args.demo + bool(args.source) + bool(args.pairs) != 1:
        parser.error('give --demo, or --source and --target, or --pairs and --root')
    if args.pairs and not (args.root and args.output):
        parser.error('--pairs wants the CelebA folder as --root and a folder to write to as -o')
    if args.device.startswith('cuda') and not torch.cuda.is_available():
        parser.error(f'--device {args.device}: PyTorch sees no GPU here; use --device cpu')
    return args


def run(args: argparse.Namespace) -> None:
    output = args.output or Path('outputs') / ('' if args.demo else 'swap.png')
    if args.source:  # whatever is wrong with the files is said before the networks are loaded
        source, target = read_picture(args.source), read_picture(args.target)
        check_name(output)
    perception = build_perception('identity-mobilefacenet', None, 'parsing-unet').to(args.device)
    family = load_family(args.weights or weights.path(args.family), perception).to(args.device)
    if args.pairs:
        written, kept = swap_pairs(family, args.root, args.pairs, output, device=args.device, batch=args.batch,
                                   overwrite=args.overwrite)
        print(f'{output}: {written} pictures written' + (f', {kept} were there already' if kept else ''))
        return
    swapper = FaceSwapper(family, perception, build_detector(args.detector, args.device), device=args.device,
                          colour=not args.no_colour)
    if args.demo:
        for name, picture in zip(('swap.png', 'contact.png'), demo(swapper)):
            write_picture(output / name, picture)
            print(output / name)
        return
    swapped = swapper.swap(source, target, source_face=args.source_face, target_face=args.face)
    for note in swapped.notes:
        print(f'note: {note}', file=sys.stderr)
    write_picture(output, swapped.picture)
    print(output)


def main(argv: list[str] | None = None) -> int:
    try:
        run(parse(argv))
    except (ValueError, weights.WeightsError) as error:
        print(f'swap.py: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
