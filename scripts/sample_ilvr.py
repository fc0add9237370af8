"""Sample faces with the coarse content of a reference by ILVR (Choi et al. 2021): of a photo, a drawing or a sketch.

    python scripts/sample_ilvr.py --ref caricature.png
    python scripts/sample_ilvr.py --ref FOLDER --down 8 16 --range 0 20 --sampler dpm++ --steps 20 -o OUT
    python scripts/sample_ilvr.py --ref caricature.png --identity photo.png --mask inside
    python scripts/sample_ilvr.py --ref face.png --published --weights adm-ffhq --down 32 --range 20

Pixels outside of the reference image are not conditioned. Writes the samples, a contact sheet for each reference (the reference
and its low-passes above the samples), and a comparison of the settings as figures.md, figures.csv and figures.svg.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from experiments.console import quiet_interrupts, run_script

quiet_interrupts()

import argparse
from typing import get_args

import torch
from rich.console import Console
from rich.progress import Progress

from configs.renamed import renamed_argument
from configs.resolve import checked
from experiments.evaluation.ilvr import compare
from experiments.evaluation.ilvr_output import write_figures, write_samples, write_sheets
from experiments.options import add_device_option
from experiments.reporting import ConsoleReport
from experiments.training.errors import RunError, explain_out_of_memory
from models.ddpm.ilvr import PUBLISHED, ILVRConfig, mixed
from models.ddpm.loading import ADM, ZOO, load_denoiser
from models.ddpm.schedules import Sampler
from models.perception.build import load_embedder, load_parser
from models.perception.detection import DETECTORS, build_detector
from models.perception.parsers.parser import face_probability
from models.pipelines.files.references import References, align_reference, align_references, read_references
from models.pipelines.io.images import check_output, read_image
from models.weights import WeightsError

REPORT = ConsoleReport()


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--ref', type=Path, required=True, help='reference image, or folder of images')
    parser.add_argument('-o', '--output', type=Path, default=Path('outputs/ilvr'), metavar='DIR',
                        help='output folder (%(default)s)')
    parser.add_argument('--weights', default=ZOO, help=f'{ZOO} (default), {ADM}, RUN/family.safetensors, a .pt file of ADM, a '
                        'folder of diffusers, or an .onnx file of export.py')
    reference = parser.add_argument_group('conditioning on the reference')
    reference.add_argument('--down', nargs='+', default=['4', '8', '16', '32'], metavar='N',
                           help='factors of the low-pass, at least 1 (4 8 16 32); 32:8 decreases from 32 to 8 during sampling')
    reference.add_argument('--range', nargs='+', type=float, default=[0.0], metavar='PERCENT',
                           help='percentage of last steps without conditioning (0)')
    reference.add_argument('--mask', choices=('inside', 'outside'), help='condition inside or outside of the face only')
    reference.add_argument('--mix', nargs='+', type=float, metavar='W', help='sample from one mixture of all references with '
                           'these weights')
    identity = parser.add_argument_group('identity guidance')
    identity.add_argument('--identity', nargs='?', const='reference', metavar='PHOTO',
                          help='guide samples to the identity of a photo, or without a value to that of the reference')
    identity.add_argument('--encoder', default='identity-mobilefacenet', metavar='NAME|FILE',
                          help='identity encoder: a name, or encoder.safetensors of a run (%(default)s)')
    identity.add_argument('--strength', type=float, default=0.3, help='strength of the guidance (%(default)s)')
    identity.add_argument('--through', type=renamed_argument, choices=('denoiser', 'image'), default='denoiser',
                          help='path of the gradient: through the denoiser, or to the predicted image only, which is cheaper '
                               '(%(default)s)')
    sampling = parser.add_argument_group('sampling')
    sampling.add_argument('--sampler', choices=get_args(Sampler), help='sampler (ddim)')
    sampling.add_argument('--steps', type=int, help='evaluations of the network (50)')
    sampling.add_argument('--eta', type=float, default=0.0, help='noise of ddim, 0 to 1 (%(default)s)')
    sampling.add_argument('--published', action='store_true', help='sampler of the publication: ancestral, 100 steps')
    sampling.add_argument('--n', type=int, default=4, help='samples of each reference and setting (%(default)s)')
    sampling.add_argument('--batch', type=int, default=32, help='batch size (%(default)s)')
    sampling.add_argument('--seed', type=int, default=0, help='seed of the random numbers (%(default)s)')
    sampling.add_argument('--detector', default='mtcnn', choices=DETECTORS, help='face detector (%(default)s)')
    add_device_option(sampling)
    args = parser.parse_args(argv)
    if args.n < 1 or args.batch < 1:
        parser.error('--n and --batch must be at least 1')
    return args


def build_settings(args: argparse.Namespace) -> dict[str, ILVRConfig]:
    """Name -> setting, one for each factor and range; ValueError for a value out of range."""
    base = PUBLISHED.model_dump() if args.published else {}
    options = {'sampler': args.sampler, 'steps': args.steps, 'eta': args.eta, 'through': args.through,
               'id_guidance': args.strength if args.identity else 0.0}
    base |= {name: value for name, value in options.items() if value is not None}
    settings = {}
    for down in args.down:
        first, _, last = down.partition(':')
        for until in args.range:
            name = f'down {down}' + (f', range {until:g}' if len(args.range) > 1 else '')
            settings[name] = checked(ILVRConfig, {**base, 'down': first, 'down_last': last or None, 'until': until / 100})
    return settings


def run(args: argparse.Namespace) -> None:
    settings, images = build_settings(args), read_references(args.ref)
    check_output(args.output / 'sheet.png')
    id_photo = read_image(args.identity) if args.identity not in (None, 'reference') else None
    denoiser, template = load_denoiser(args.weights, args.device)
    denoiser.to(memory_format=torch.channels_last)
    detector, embed = build_detector(args.detector, args.device), load_embedder(args.encoder).to(args.device)
    references = align_references(images, detector, denoiser.size, template, REPORT, device=args.device)
    if args.mix:
        references = References(['mixture'], mixed(references.images, args.mix)[None], references.mask.amin(0, keepdim=True))
    id_embedding = None
    if id_photo is not None:
        aligned = align_reference(args.identity, id_photo, detector, 2 * denoiser.size, template, REPORT)
        id_embedding = embed(aligned.image.to(args.device), template=template)[0]
    mask = references.mask
    if args.mask:
        face = face_probability(load_parser('parsing-unet').to(args.device)(references.images, template=template))
        mask = mask * (face if args.mask == 'inside' else 1 - face)

    results, chunks = [], -(-len(references.names) // max(1, args.batch // args.n))
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task('sampling', total=chunks * sum(config.steps for config in settings.values()))
        for samples in compare(denoiser, references.images, settings, embed, template=template, count=args.n, seed=args.seed,
                               batch=args.batch, mask=mask, identity=id_embedding, callback=lambda step: bar.advance(task)):
            results.append(samples)
            write_samples(args.output, references.names, samples)
            bar.console.print(f'{samples.row.name}: {samples.row.cells["seconds"].mean:.2f} s per image', highlight=False)
    print(*write_sheets(args.output, references.names, references.images, results), sep='\n')
    print(write_figures(args.output, results).markdown(), end='')


def main(argv: list[str] | None = None) -> int:
    try:
        with explain_out_of_memory(lambda: 'set --batch lower or --device cpu'):
            run(parse(argv))
    except (ValueError, OSError, WeightsError, RunError) as error:
        print(f'sample_ilvr.py: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(run_script(main))
