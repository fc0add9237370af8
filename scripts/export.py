"""Write a swap generator as ONNX, checked by onnxruntime against PyTorch; the batch may have any size.

    python scripts/export.py --family cvae -o cvae.onnx
    python scripts/export.py --weights RUN/family.safetensors -o swap.onnx
    python scripts/export.py --weights simswap-224 -o simswap.onnx

Inputs: target (B,3,S,S) in [-1,1], labels (B,S,S) of the target's parsing (not for simswap-*), identity (B,D) of unit length.
Output: swap (B,3,S,S). `swap.py --weights swap.onnx` runs the file.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import argparse

from models import weights
from models.cgan.published import load_generator
from models.perception.bundle import build_perception
from models.pipelines.portable import export_family, export_generator
from models.pipelines.simswap import FRAMINGS
from models.registry import FAMILIES, SWAPPER, load_family


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--family', default=SWAPPER, choices=FAMILIES,
                        help='model family whose own weights are exported (%(default)s)')
    parser.add_argument('--weights', help=f'weights of a run (family.safetensors), or one of {", ".join(FRAMINGS)}, instead')
    parser.add_argument('-o', '--output', type=Path, required=True, help='file to write')
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> None:
    if args.weights in FRAMINGS:
        difference = export_generator(load_generator(args.weights), args.output)
    else:
        perception = build_perception('identity-mobilefacenet', None, 'parsing-unet')
        difference = export_family(load_family(args.weights or weights.path(args.family), perception), args.output)
    print(f'{args.output}: onnxruntime and PyTorch differ by {difference:.1e} at most')


def main(argv: list[str] | None = None) -> int:
    try:
        run(parse(argv))
    except (ValueError, OSError, weights.WeightsError) as error:
        print(f'export.py: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
