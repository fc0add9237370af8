"""Sample lighting and expression from the prior of the CVAE at a fixed identity.

    python scripts/sample_cvae.py --source a.jpg --target b.jpg -o sheet.png

Writes a contact sheet of source, target, swap and samples.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from experiments.console import quiet_interrupts, run_script

quiet_interrupts()

import argparse

import torch

from experiments.training.errors import RunError, explain_out_of_memory
from models import weights
from models.batch import SwapBatch
from models.cvae.family import CVAE
from models.images import to_uint8
from models.perception.build import build_perception
from models.perception.detection import DETECTORS, build_detector
from models.pipelines.framing import align_image
from models.pipelines.io.contact_sheet import contact_sheet
from models.pipelines.io.images import check_output, read_image, write_image
from models.registry import load_family


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--source', type=Path, required=True, help='photo of the source face')
    parser.add_argument('--target', type=Path, required=True, help='photo of the background and pose')
    parser.add_argument('-o', '--output', type=Path, default=Path('outputs/samples.png'), help='image to write (%(default)s)')
    parser.add_argument('--n', type=int, default=6, help='number of samples (%(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='seed of the random numbers (%(default)s)')
    parser.add_argument('--weights', type=Path, help='family.safetensors of a run (weights of the zoo)')
    parser.add_argument('--detector', default='mtcnn', choices=DETECTORS, help='face detector (%(default)s)')
    parser.add_argument('--overwrite', action='store_true', help='allow -o to replace one of the photos')
    args = parser.parse_args(argv)
    if args.n < 1:
        parser.error(f'--n {args.n}: must be at least 1')
    return args


def run(args: argparse.Namespace) -> None:
    photos = [read_image(path) for path in (args.source, args.target)]
    check_output(args.output, (args.source, args.target), overwrite=args.overwrite)
    family = load_family(args.weights or weights.path('cvae'), build_perception())
    if not isinstance(family, CVAE):
        raise ValueError(f'{args.weights} is no CVAE and has no prior; give the family.safetensors of a cvae run')
    detector = build_detector(args.detector, 'cpu')
    crops = [align_image(photo, detector, family.config.size) for photo in photos]
    for path, crop in zip((args.source, args.target), crops):
        if crop.note:
            print(f'note: {path}: {crop.note}', file=sys.stderr)
    batch = SwapBatch(crops[0].image, crops[1].image, torch.tensor([False]))
    rng = torch.Generator().manual_seed(args.seed)
    images = [*(crop.image for crop in crops), family.generate(batch),
                *(family.sample(batch, generator=rng) for _ in range(args.n))]
    headings = ['source', 'target', 'swap', *(f'sample {number + 1}' for number in range(args.n))]
    write_image(args.output, contact_sheet([[to_uint8(image)[0] for image in images]], headings))
    print(args.output)


def main(argv: list[str] | None = None) -> int:
    try:
        with explain_out_of_memory(lambda: 'set --n lower'):
            run(parse(argv))
    except (ValueError, OSError, weights.WeightsError, RunError) as error:
        print(f'sample_cvae.py: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(run_script(main))
