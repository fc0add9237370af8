"""Benchmarks of the suite on this machine.

    python scripts/benchmark.py data --data celeba --root CELEBA
    python scripts/benchmark.py synthetic
    python scripts/benchmark.py metrics
    python scripts/benchmark.py occlusion --limits 0.5,30 0.4,40
    python scripts/benchmark.py swap
    python scripts/benchmark.py train
    python scripts/benchmark.py video CLIP.mp4
    python scripts/benchmark.py translate --family ugatit
    python scripts/benchmark.py sample --data celeba --root CELEBA --images 1000
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from experiments.console import quiet_interrupts, run_script

quiet_interrupts()

import argparse

from datasets.registry import FACES
from experiments.benchmarks.data import frechet_figures, loading_figures, rendering_figures
from experiments.benchmarks.inference import swapping_figures, training_figures
from experiments.benchmarks.occlusion import occlusion_figures
from experiments.benchmarks.sampling import sampling_figures
from experiments.benchmarks.translation import PUBLISHED_STEPS, translation_figures
from experiments.benchmarks.video import video_figures
from experiments.options import RenamedOption, add_device_option
from models.ddpm.loading import ZOO
from models.perception.build import EMBEDDERS, PHOTO_PARSER


def parse_limits(text: str) -> tuple[float, float]:
    """Parse BARE,RESIDUAL."""
    bare, residual = map(float, text.split(','))
    return bare, residual


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    tasks = parser.add_subparsers(dest='task', required=True)
    data = tasks.add_parser('data', help='images per second of the cached loader and of decoding JPEG files')
    data.add_argument('--data', choices=[name for name in FACES if name != 'cache'], help='data set (default: rendered faces)')
    data.add_argument('--root', type=Path, help='folder of the data set')
    data.add_argument('--size', type=int, default=128, help='side in pixels (%(default)s)')
    data.add_argument('--workers', type=int, default=2, help='processes of each loader (%(default)s)')
    data.add_argument('--seconds', type=float, default=4.0, help='duration of each measurement (%(default)s)')
    data.add_argument('--repeats', type=int, default=3, help='measurements, whose median is reported (%(default)s)')
    data.set_defaults(run=lambda args: loading_figures(args.data, args.root, size=args.size, workers=args.workers,
                                                       seconds=args.seconds, repeats=args.repeats))
    synthetic = tasks.add_parser('synthetic', help='rendered faces per second on one core')
    synthetic.add_argument('--size', type=int, default=64, help='side in pixels (%(default)s)')
    synthetic.add_argument('--seconds', type=float, default=4.0, help='duration of each measurement (%(default)s)')
    synthetic.add_argument('--repeats', type=int, default=5, help='measurements, whose median is reported (%(default)s)')
    synthetic.set_defaults(run=lambda args: rendering_figures(size=args.size, seconds=args.seconds, repeats=args.repeats))
    metrics = tasks.add_parser('metrics', help='Frechet distance by eigenvalues against the matrix square root')
    metrics.add_argument('--width', type=int, default=2048, help='length of the features (%(default)s)')
    metrics.add_argument('--images', type=int, default=5000, help='images in each of the two sets (%(default)s)')
    metrics.add_argument('--pictures', dest='images', type=int, action=RenamedOption, help=argparse.SUPPRESS)
    metrics.add_argument('--repeats', type=int, default=1, help='measurements, whose median is reported (%(default)s)')
    metrics.set_defaults(run=lambda args: frechet_figures(width=args.width, images=args.images, repeats=args.repeats))
    occlusion = tasks.add_parser('occlusion', help='precision and recall of preserved pixels of rendered occluders')
    occlusion.add_argument('--data', choices=list(FACES), help='data set of the faces (default: rendered faces)')
    occlusion.add_argument('--root', type=Path, help='folder of the data set')
    occlusion.add_argument('--parser', default=PHOTO_PARSER, help='face parser, or a parser.safetensors of a run (%(default)s)')
    occlusion.add_argument('--weights', help='family.safetensors of a run (default: weights of the zoo)')
    occlusion.add_argument('--images', type=int, default=20, help='faces, each with all kinds of occluders (%(default)s)')
    occlusion.add_argument('--limits', nargs='+', type=parse_limits, metavar='BARE,RESIDUAL',
                        help='smallest probability of bare skin and largest residual, in pairs (those of swap.py)')
    occlusion.set_defaults(run=lambda args: occlusion_figures(args.data, args.root, parser=args.parser, file=args.weights,
                                                           images=args.images, limits=args.limits))
    sample = tasks.add_parser('sample', help='ILVR with the published sampler (100 ancestral steps) and with that of the suite')
    sample.add_argument('--weights', default=ZOO, help='as for sample_ilvr.py (%(default)s)')
    sample.add_argument('--data', choices=list(FACES), help='data set of the references (default: rendered faces)')
    sample.add_argument('--root', type=Path, help='folder of the data set')
    sample.add_argument('--images', type=int, default=16, help='samples, cycling through the references (%(default)s)')
    sample.add_argument('--pictures', dest='images', type=int, action=RenamedOption, help=argparse.SUPPRESS)
    sample.add_argument('--down', type=float, default=8, help='factor of the low-pass (%(default)s)')
    sample.add_argument('--range', type=float, default=20, help='percentage of last steps without conditioning (%(default)s)')
    sample.add_argument('--sampler', default='ddim', help='setting of the suite (%(default)s)')
    sample.add_argument('--steps', type=int, default=25, help='setting of the suite (%(default)s)')
    sample.add_argument('--batch', type=int, default=16, help='batch size (%(default)s)')
    sample.set_defaults(run=lambda args: sampling_figures(args.weights, args.data, args.root, images=args.images,
                                                          batch=args.batch, down=args.down, until=args.range / 100,
                                                          sampler=args.sampler, steps=args.steps))
    video = tasks.add_parser('video', help='video swap: speed of each stage, flicker, identity of each frame')
    video.add_argument('video', type=Path, help='video file')
    video.add_argument('--source', type=Path, help='source photo (default: a photo of swap.py --demo)')
    video.add_argument('--weights', help='family.safetensors of a run (default: weights of the zoo)')
    video.add_argument('--judge', choices=EMBEDDERS, default='identity-mobilefacenet',
                       help='embedder of the identity similarity (%(default)s)')
    video.add_argument('--threads', type=int, default=1, help='threads of each network (%(default)s)')
    add_device_option(video)
    video.set_defaults(run=lambda args: video_figures(args.video, args.source, file=args.weights, judge=args.judge,
                                                    threads=args.threads, device=args.device))
    for task, figures, batch, measured in (('swap', swapping_figures, 1, 'inference'),
                                           ('train', training_figures, 2, 'training step')):
        speed = tasks.add_parser(task, help=f'{measured} of the published SimSwap, as published and as in the suite')
        speed.add_argument('--size', type=int, default=224, help='side in pixels (%(default)s)')
        speed.add_argument('--batch', type=int, default=batch, help='batch size (%(default)s)')
        speed.add_argument('--repeats', type=int, default=3, help='measurements, whose median is reported (%(default)s)')
        speed.add_argument('--compile', action='store_true', help='use torch.compile')
        add_device_option(speed)
        speed.set_defaults(run=lambda args, figures=figures: figures(
            size=args.size, batch=args.batch, repeats=args.repeats, compiled=args.compile, device=args.device))
    step = tasks.add_parser('translate', help='training step of a translator, as published and as in the suite')
    step.add_argument('--family', choices=PUBLISHED_STEPS, default='ugatit', help='family (%(default)s, the light version)')
    step.add_argument('--size', type=int, default=256, help='side in pixels (%(default)s)')
    step.add_argument('--batch', type=int, default=1, help='images of each domain (%(default)s)')
    step.add_argument('--repeats', type=int, default=2, help='measurements, whose median is reported (%(default)s)')
    step.add_argument('--threads', type=int, default=1, help='threads of each implementation (%(default)s)')
    step.add_argument('--compile', action='store_true', help='use torch.compile for the implementation of the suite')
    add_device_option(step)
    step.set_defaults(run=lambda args: translation_figures(args.family, size=args.size, batch=args.batch, repeats=args.repeats,
                                                           threads=args.threads, compiled=args.compile, device=args.device))
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    try:
        figures = args.run(args)
    except (ValueError, OSError, RuntimeError) as error:
        print(f'benchmark.py: {error}', file=sys.stderr)
        return 2
    for name, value in figures.items():
        print(f'{name:>27}  {value:.1f}' if value >= 10 else f'{name:>27}  {value:.3g}')
    return 0


if __name__ == '__main__':
    sys.exit(run_script(main))
