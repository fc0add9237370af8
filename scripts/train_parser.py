r"""Train the small face parser, prepare what it learns from, and measure parsers.

    python scripts/train_parser.py --label CACHE --data celeba --root CELEBA --teacher parsing-unet-small
    python scripts/train_parser.py --root CACHE FASSEG
    python scripts/train_parser.py --resume RUN
    python scripts/train_parser.py --evaluate parsing-unet --root CACHE FASSEG

--label packs a data set of faces into CACHE and adds the labels of a published parser. Training reads any number of folders that
--label wrote, FASSEG folders (images/, masks/, index.csv) and CelebAMask-HQ folders, and drawn faces always. The run folder gets
parser.safetensors. --evaluate (a name of the table of weights, or a parser.safetensors) prints the IoU of face against rest and
of each part on the test images of the folders and on drawn faces; in FASSEG the face holds ears and neck.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from experiments.console import quiet_interrupts, run_script

quiet_interrupts()

import argparse
import os
from itertools import islice

import torch

from configs.resolve import checked, parse_override
from configs.schema import RunConfig
from datasets.faces import PARTITIONS
from datasets.loaders import FACES, build_faces, build_loader
from datasets.preparation.pseudo_labels import label
from datasets.samples.parsing import RenderedFaces, by_subset, mixed
from experiments.evaluation.protocols.parsing import measure
from experiments.training.completion import complete
from experiments.training.engine import Engine
from experiments.training.errors import RunError
from experiments.training.fabric import build_fabric
from experiments.training.run_folder import run_folder
from experiments.training.settings import resumed, started
from models.batch import ParsingBatch
from models.perception.build import PARSERS, file_of, load_parser
from models.perception.parsers.family import ParserTraining, ParserTrainingConfig, load_network, load_trained, parser_bytes
from models.storage.files import write_bytes
from models.weights import WeightsError


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--root', nargs='+', default=[], metavar='FOLDER', help='folders of faces with label maps')
    parser.add_argument('--preset', default='parser', help='YAML file, or its name in configs/')
    parser.add_argument('--steps', type=int, help='updates')
    parser.add_argument('--set', action='extend', nargs='+', default=[], metavar='KEY=VALUE',
                        help='any settings, such as engine.seed=1')
    parser.add_argument('--out', type=Path, help='run folder (default runs/parser-DATE)')
    parser.add_argument('--resume', type=Path, metavar='RUN', help='go on with a run folder')
    parser.add_argument('--evaluate', metavar='NAME|FILE', help='measure this parser instead of training one')
    parser.add_argument('--partition', choices=[*PARTITIONS, 'all'], default='test',
                        help='what --evaluate looks at (%(default)s)')
    parser.add_argument('--label', type=Path, metavar='CACHE', help='write a cache with the labels of a teacher')
    parser.add_argument('--data', choices=[name for name in FACES if name != 'cache'], default='celeba',
                        help='what --label reads (%(default)s)')
    parser.add_argument('--teacher', choices=PARSERS, default='parsing-unet-small', help='whose labels (%(default)s)')
    args = parser.parse_args(argv)
    if sum(map(bool, (args.resume, args.evaluate, args.label))) > 1 or (args.resume and args.out):
        parser.error('--resume, --evaluate and --label exclude each other, and --resume takes its folder from the run')
    if args.label and len(args.root) != 1:
        parser.error('--label reads one data set: say with --root where it lies')
    return args


def settings(args: argparse.Namespace) -> RunConfig:
    """The resolved config, whose data.root lists the folders as PATH does; ValueError names what does not fit."""
    given = {'data': {'root': os.pathsep.join(args.root)} if args.root else {},
             'engine': {} if args.steps is None else {'steps': args.steps}}
    overrides = [given, *(parse_override(text) for text in args.set)]
    if args.resume:
        return resumed(args.resume, overrides, ParserTrainingConfig, ParsingBatch)
    return started('parser', ParserTrainingConfig, ParsingBatch, args.preset, overrides)


def build(args: argparse.Namespace) -> Engine:
    config = settings(args)
    model, data, seed = checked(ParserTrainingConfig, config.model), config.data, config.engine.seed
    folder = run_folder('parser', args.out, args.resume)
    roots = data.root.split(os.pathsep) if data.root else []
    faces = mixed(roots, model.size, partition=data.partition, seed=seed, varied=data.augment,
                  occluded=model.occluded)
    held = mixed(roots, model.size, partition=data.validation_partition, seed=seed, varied=False)
    fabric = build_fabric(config.engine)
    torch.manual_seed(seed)
    family = ParserTraining(model)
    if model.init and not args.resume:
        family.network.load_state_dict(load_network(file_of(model.init) if model.init in PARSERS else model.init).state_dict())
    loader = build_loader(faces, data.batch, seed=seed, workers=data.workers, rank=fabric.global_rank,
                          world_size=fabric.world_size)
    validation = list(islice(build_loader(held, data.batch, seed=seed, shuffle=False), data.validation_batches))
    engine = Engine(config, family, loader, fabric=fabric, folder=fabric.broadcast(folder), validation=validation)
    if args.resume:
        engine.resume()
    return engine


def evaluate(name: str, roots: list[str], partition: str) -> None:
    """Print a row for each set of images."""
    parser = load_trained(name) if Path(name).is_file() else load_parser(name)
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    parser.to(device)
    sources = {title: source for root in roots for title, source in by_subset(root, 128, partition).items()}
    sources['synthetic'] = RenderedFaces('test' if partition == 'all' else partition, 128)
    for title, source in sources.items():
        row = measure(parser, source, device=device)
        parts = ', '.join(f'{part} {iou:.3f}' for part, iou in row['parts'].items())
        print(f'{name} on {title}: face {row["face"]:.4f}, {row["images"]} images ({parts})')


def write_labels(args: argparse.Namespace) -> None:
    teacher = load_parser(args.teacher)
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    teacher.to(device)

    @torch.no_grad()
    def probability(images: torch.Tensor) -> torch.Tensor:
        return teacher(images.to(device), template='celebahq').softmax(1)

    def progress(done: int, total: int) -> None:
        print(f'\r{done} of {total} images', end='\n' if done == total else '', file=sys.stderr, flush=True)

    labeled = label(build_faces(args.data, args.root[0]), args.label, probability, name=args.teacher, workers=2,
                     progress=progress)
    print(f'{args.label}: {len(labeled)} images with labels')


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    try:
        if args.evaluate:
            evaluate(args.evaluate, args.root, args.partition)
            return 0
        if args.label:
            write_labels(args)
            return 0
        engine = build(args)
    except (ValueError, OSError, WeightsError, RunError) as error:
        print(f'train_parser.py: {error}', file=sys.stderr)
        return 2

    def finish() -> None:
        file = engine.folder / 'parser.safetensors'
        with engine.ema.applied():
            write_bytes(file, parser_bytes(engine.family))
        evaluate(str(file), engine.config.data.root.split(os.pathsep) if engine.config.data.root else [], 'test')

    return complete(engine, 'train_parser.py', finish)


if __name__ == '__main__':
    sys.exit(run_script(main))
