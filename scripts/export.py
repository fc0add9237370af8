"""Export a swap generator or a denoiser to ONNX with a dynamic batch size, and compare the results of onnxruntime and PyTorch.

    python scripts/export.py --family cvae -o cvae.onnx
    python scripts/export.py --weights RUN/family.safetensors -o swap.onnx
    python scripts/export.py --weights simswap-224 -o simswap.onnx
    python scripts/export.py --int8 -o cgan-int8.onnx
    python scripts/export.py --family ddpm --int8 -o denoiser.onnx

Inputs of a swap generator: target (B,3,S,S) in [-1,1], labels (B,S,S) of the target's parsing map (not for simswap-*),
identity (B,D) of unit length; output: swap (B,3,S,S). `swap.py --weights swap.onnx` runs the file. The family ddpm exports its
unconditional denoiser, for `sample_ilvr.py --weights denoiser.onnx`. --int8 quantizes the convolutions to 8 bits, calibrated on
rendered faces or on the images of --data.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from experiments.console import quiet_interrupts, run_script

quiet_interrupts()

import argparse
from itertools import islice

import torch

from datasets.loaders import build_loader, build_swaps
from datasets.registry import FACES
from models import weights
from models.base import Family
from models.cgan.published import load_generator
from models.ddpm.networks.onnx_export import NUM_FLOAT32_CONVOLUTIONS, export_denoiser, noisy
from models.perception.build import build_perception
from models.pipelines.onnx_export import export_family, export_generator, onnx_inputs
from models.pipelines.simswap import CROP_TEMPLATES
from models.registry import SWAPPER, SWAPPERS, load_family
from models.runtime.quantization import quantize
from models.runtime.sessions import Inputs

_CALIBRATION_BATCH_SIZE, _CALIBRATION_BATCHES = 8, 7  # the last batch measures the error


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--family', default=SWAPPER, choices=SWAPPERS,
                        help='family whose zoo weights are exported (%(default)s)')
    parser.add_argument('--weights', help=f'weights of a run (family.safetensors), or one of {", ".join(CROP_TEMPLATES)}')
    parser.add_argument('-o', '--output', type=Path, required=True, help='ONNX file to write')
    parser.add_argument('--int8', action='store_true', help='quantize the convolutions to 8 bits')
    parser.add_argument('--data', choices=list(FACES), help='data set for the calibration (rendered faces)')
    parser.add_argument('--root', help='folder of the data set')
    args = parser.parse_args(argv)
    if args.int8 and args.weights in CROP_TEMPLATES:
        parser.error(f'--int8 does not support {args.weights}, whose crops differ from those of the calibration')
    return args


def run(args: argparse.Namespace) -> None:
    if args.weights in CROP_TEMPLATES:
        difference = export_generator(load_generator(args.weights), args.output)
    else:
        perception = build_perception('identity-mobilefacenet', None, 'parsing-unet')
        family = load_family(args.weights or weights.path(args.family), perception, task='swap')
        samples = calibration(args, family) if args.int8 else []
        difference = (export_denoiser(family.denoiser, 'face', args.output) if has_denoiser(family)
                      else export_family(family, args.output))
    print(f'{args.output}: onnxruntime and PyTorch differ by at most {difference:.1e}')
    if args.int8:
        error = quantize(args.output, samples, NUM_FLOAT32_CONVOLUTIONS if has_denoiser(family) else 0)
        print(f'{args.output}: 8-bit convolutions change the output by {error:.3f} '
              '(root mean square, in units of [-1,1])')


def calibration(args: argparse.Namespace, family: Family) -> list[Inputs]:
    """Inputs of the exported network for images of the data set."""
    faces = build_swaps(args.data or 'synthetic', args.root, family.config.size, same_ratio=0)
    rng = torch.Generator().manual_seed(0)
    return [noisy(batch.target, family.denoiser, rng) if has_denoiser(family) else onnx_inputs(family, batch)
            for batch in islice(build_loader(faces, _CALIBRATION_BATCH_SIZE, seed=0), _CALIBRATION_BATCHES)]


def has_denoiser(family: Family) -> bool:
    """Whether the family has a denoiser."""
    return hasattr(family, 'denoiser')


def main(argv: list[str] | None = None) -> int:
    try:
        run(parse(argv))
    except (ValueError, OSError, weights.WeightsError) as error:
        print(f'export.py: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(run_script(main))
