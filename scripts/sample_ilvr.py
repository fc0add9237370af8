"""Draw faces that keep the coarse content of a reference (ILVR): a photo, a drawing, a sketch.

    python scripts/sample_ilvr.py --ref caricature.png
    python scripts/sample_ilvr.py --ref FOLDER --down 8 16 --range 0 20 --sampler dpm++ --steps 20 -o OUT
    python scripts/sample_ilvr.py --ref caricature.png --identity photo.png --mask inside
    python scripts/sample_ilvr.py --ref face.png --published --weights adm-ffhq --down 32 --range 20

Where the face is wanted in a larger frame than the reference shows, the denoiser is free to draw what lies beyond.
Writes every sample, a sheet for each reference (the reference and its low-passes above the samples), and what the settings do as
figures.md, figures.csv and figures.svg.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from experiments.console import quiet_interrupts, run_script

quiet_interrupts()

import argparse
from typing import get_args

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress

from configs.resolve import checked
from datasets.faces import SUFFIXES
from experiments.ablation.plots import scatter
from experiments.ablation.tables import Table
from experiments.evaluation.ilvr import COLUMNS, Samples, compare
from experiments.training.errors import RunError, explain_out_of_memory
from models.ddpm.ilvr import PUBLISHED, ILVRConfig, mixed
from models.ddpm.loading import ADM, ZOO, load_denoiser
from models.ddpm.lowpass import low_pass
from models.ddpm.schedules import Sampler
from models.images import to_uint8
from models.perception.build import load_embedder, load_parser
from models.perception.detection import DETECTORS, build_detector
from models.perception.parsers.parser import face_probability
from models.pipelines.framing import AlignedImage, align_image
from models.pipelines.io.contact_sheet import contact_sheet
from models.pipelines.io.images import check_output, read_image, write_image
from models.storage.files import write_bytes
from models.weights import WeightsError

_CELL = 192  # least pixels of an image on the sheet


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--ref', type=Path, required=True, help='image, or folder of images')
    parser.add_argument('-o', '--output', type=Path, default=Path('outputs/ilvr'), metavar='DIR')
    parser.add_argument('--weights', default=ZOO, help=f'{ZOO} (default), {ADM}, RUN/family.safetensors, a .pt file of ADM, a '
                        'folder of diffusers or an .onnx file of export.py')
    what = parser.add_argument_group('how much of the reference')
    what.add_argument('--down', nargs='+', default=['4', '8', '16', '32'], metavar='N',
                      help='factors of the low-pass, any numbers from 1 (4 8 16 32); 32:8 goes from 32 to 8 on the way')
    what.add_argument('--range', nargs='+', type=float, default=[0.0], metavar='PERCENT',
                      help='the last percents of the way on which the reference lets go (0)')
    what.add_argument('--mask', choices=('inside', 'outside'), help="only inside or outside of the reference's face")
    what.add_argument('--mix', nargs='+', type=float, metavar='W', help='one mixture of all references, with these weights')
    whom = parser.add_argument_group('whom the samples show')
    whom.add_argument('--identity', nargs='?', const='reference', metavar='PHOTO',
                      help='guide them towards the person of a photo or, without one, of the reference')
    whom.add_argument('--encoder', default='identity-mobilefacenet', metavar='NAME|FILE',
                      help="who says how alike they are: an identity encoder's name, or the encoder.safetensors of a run")
    whom.add_argument('--strength', type=float, default=0.3, help='of that guidance (%(default)s)')
    whom.add_argument('--through', choices=('denoiser', 'image'), default='denoiser', help='what its gradient passes through: '
                      'image is cheaper, denoiser more natural (default)')
    how = parser.add_argument_group('how')
    how.add_argument('--sampler', choices=get_args(Sampler), help='default ddim')
    how.add_argument('--steps', type=int, help='evaluations of the network (50)')
    how.add_argument('--eta', type=float, default=0.0, help='noise that ddim adds, 0 to 1 (0)')
    how.add_argument('--published', action='store_true', help="the authors' own sampler: ancestral, 100 steps")
    how.add_argument('--n', type=int, default=4, help='samples of each reference and setting (%(default)s)')
    how.add_argument('--batch', type=int, default=32, help='images at a time (%(default)s)')
    how.add_argument('--seed', type=int, default=0)
    how.add_argument('--detector', default='mtcnn', choices=DETECTORS)
    how.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    args = parser.parse_args(argv)
    if args.n < 1 or args.batch < 1:
        parser.error('--n and --batch are numbers from 1')
    if args.device.startswith('cuda') and not torch.cuda.is_available():
        parser.error(f'--device {args.device}: PyTorch sees no GPU here; use --device cpu')
    return args


def settings(args: argparse.Namespace) -> dict[str, ILVRConfig]:
    """Name -> setting, one for each factor and range; ValueError names what does not fit."""
    base = PUBLISHED.model_dump() if args.published else {}
    given = {'sampler': args.sampler, 'steps': args.steps, 'eta': args.eta, 'through': args.through,
             'id_guidance': args.strength if args.identity else 0.0}
    base |= {name: value for name, value in given.items() if value is not None}
    found = {}
    for down in args.down:
        first, _, last = down.partition(':')
        for until in args.range:
            name = f'down {down}' + (f', range {until:g}' if len(args.range) > 1 else '')
            found[name] = checked(ILVRConfig, {**base, 'down': first, 'down_last': last or None, 'until': until / 100})
    return found


def read_references(place: Path) -> dict[str, np.ndarray]:
    """Name -> image; ValueError where there is none."""
    paths = sorted(path for path in place.iterdir() if path.suffix.lower() in SUFFIXES) if place.is_dir() else [place]
    if not paths:
        raise ValueError(f'{place} holds no images ({", ".join(sorted(SUFFIXES))})')
    stems = [path.stem for path in paths]
    return {path.stem if stems.count(path.stem) == 1 else path.name.replace('.', '-'): read_image(path) for path in paths}


def write_sheet(path: Path, reference: torch.Tensor, made: list[Samples], index: int) -> None:
    """The reference and its low-passes, samples below."""
    blank = np.full((1, 1, 3), 250, np.uint8)
    lows = torch.cat([low_pass(reference[None], samples.config.finest) for samples in made])
    rows = [list(to_uint8(torch.cat([reference[None], lows])))]
    rows += [[blank, *to_uint8(torch.stack([samples.images[index, k] for samples in made]))]
             for k in range(made[0].images.shape[1])]
    write_image(path, contact_sheet(rows, ['reference', *(samples.row.name for samples in made)],
                                      max(_CELL, reference.shape[-1])))


def run(args: argparse.Namespace) -> None:
    asked, images = settings(args), read_references(args.ref)
    check_output(args.output / 'sheet.png')
    person = read_image(args.identity) if args.identity not in (None, 'reference') else None
    denoiser, template = load_denoiser(args.weights, args.device)
    denoiser.to(memory_format=torch.channels_last)
    detector, embed = build_detector(args.detector, args.device), load_embedder(args.encoder).to(args.device)

    def seen(image: np.ndarray, name: str | Path, size: int) -> AlignedImage:
        found = align_image(image, detector, size, template)
        if found.note:
            print(f'{name}: {found.note}', file=sys.stderr)
        return found

    names = list(images)
    found = [seen(image, name, denoiser.size) for name, image in images.items()]
    references, mask = (torch.cat(parts).to(args.device) for parts in zip(*((one.image, one.inside) for one in found)))
    if args.mix:
        names, references, mask = ['mixture'], mixed(references, args.mix)[None], mask.amin(0, keepdim=True)
    identity = None
    if person is not None:
        identity = embed(seen(person, args.identity, 2 * denoiser.size).image.to(args.device), template=template)[0]
    if args.mask:
        face = face_probability(load_parser('parsing-unet').to(args.device)(references, template=template))
        mask = mask * (face if args.mask == 'inside' else 1 - face)

    made, chunks = [], -(-len(references) // max(1, args.batch // args.n))
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task('sampling', total=chunks * sum(config.steps for config in asked.values()))
        for samples in compare(denoiser, references, asked, embed, template=template, count=args.n, seed=args.seed,
                               batch=args.batch, mask=mask, identity=identity, callback=lambda step: bar.advance(task)):
            made.append(samples)
            label = samples.row.name.replace(', ', '_').replace(' ', '').replace(':', '-')
            for name, drawn in zip(names, samples.images):
                for k, image in enumerate(to_uint8(drawn)):
                    write_image(args.output / f'{name}_{label}_{k}.png', image)
            bar.console.print(f'{samples.row.name}: {samples.row.cells["seconds"].mean:.2f} s an image', highlight=False)
    for index, name in enumerate(names):
        write_sheet(args.output / f'{name}_sheet.png', references[index], made, index)
        print(args.output / f'{name}_sheet.png')
    rows = [samples.row for samples in made]
    table = Table(rows, COLUMNS)
    write_bytes(args.output / 'figures.csv', table.csv().encode())
    write_bytes(args.output / 'figures.md', table.markdown().encode())
    write_bytes(args.output / 'figures.svg', scatter(rows, 'faithfulness', ('id_reference', 'variety', 'seconds')).encode())
    print(table.markdown(), end='')


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
