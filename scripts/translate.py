"""Translate faces: photos to drawings (a2b) and back (b2a).

    python scripts/translate.py --run RUN --input photo.jpg
    python scripts/translate.py --weights family.safetensors --direction b2a --input FOLDER -o OUT
    python scripts/translate.py --run RUN --input photo.jpg --styles 4 --paste
    python scripts/translate.py --run RUN --input photo.jpg --reference drawing.png
    python scripts/translate.py --run RUN --input FACES --aligned
    python scripts/translate.py --run RUN --input TWO_DOMAINS
    python scripts/translate.py --run RUN --input clip.mp4 -o drawn.mp4
    python scripts/translate.py --run RUN --input camera

--input is an image, a folder of images, or the folder of two domains, whose test set (testA, testB) is then translated; or a
video, a folder of videos, or a camera, all as scripts/swap.py has them, where translations are put into the images. Each image
gets NAME.png, the translated face, or with --paste the whole image with the face in it, and NAME.sheet.png, all beside
each other. What is there already stays; --overwrite makes it anew. What is written says by signed Content Credentials that it was
made and how; scripts/provenance.py shows and checks them.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import argparse
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from configs.resolve import load
from configs.schema import PerceptionConfig
from datasets.faces import images_in
from datasets.preparation.feature_clusters import read_centers
from experiments.filming import camera_name, moving, video
from experiments.training.progress import ProgressBar
from models import weights
from models.perception.build import build_perception
from models.perception.detection import DETECTORS, build_detector
from models.pipelines.framing import Framed
from models.pipelines.io.images import FORMATS, read_image, write_image
from models.pipelines.io.provenance import PART, WHOLE, Making
from models.pipelines.photo import LARGEST, FaceSwapper
from models.pipelines.translate import FaceTranslator, default_weights, load_translator, sheet
from models.pipelines.video.engine import VideoEngine
from models.pipelines.video.tracking import Tracker

OUTPUT = Path('outputs/translate')


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    task = parser.add_argument_group('what to translate')
    task.add_argument('--input', type=Path, required=True, metavar='IMAGE|FOLDER|VIDEO|camera', help='see above')
    task.add_argument('--direction', choices=('a2b', 'b2a'), help='photo to drawing or back (the first that the family knows)')
    task.add_argument('--face', default=LARGEST, help='of each image: largest (default), all, or the number by size')
    task.add_argument('--aligned', action='store_true', help='images are faces as the data sets have them: detect nothing')
    task.add_argument('-o', '--output', type=Path, help='folder to write to, or for a single image or video the name of its '
                      f'translation ({OUTPUT}; of a camera a window)')
    task.add_argument('--overwrite', action='store_true', help='also translate what is there already')
    which = parser.add_argument_group('by what')
    which.add_argument('--run', type=Path, help='run folder of train.py')
    which.add_argument('--weights', metavar='NAME|FILE', help='instead: a name of the table of weights, or a family.safetensors')
    how = parser.add_argument_group('how')
    how.add_argument('--styles', type=int, default=1, help='translations of each face, where the family knows styles')
    how.add_argument('--style', type=int, default=0, help='number of the first style: the same number, the same style')
    how.add_argument('--reference', type=Path, metavar='IMAGE', help='instead: take the style from this image')
    how.add_argument('--features', type=Path, metavar='FILE', help='with pix2pixHD: styles are features of encode_features.py')
    how.add_argument('--paste', action='store_true', help='put the translated face into the image')
    how.add_argument('--detector', default='mtcnn', choices=DETECTORS)
    how.add_argument('--no-provenance', action='store_true', help='write no Content Credentials, for research')
    how.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    args = parser.parse_args(argv)
    if args.run and args.weights:
        parser.error('give --run or --weights, not both')
    if moving(args.input) and (args.aligned or args.styles != 1):
        parser.error('videos and cameras have one style and faces that are to be found: leave --aligned and --styles away')
    if args.device.startswith('cuda') and not torch.cuda.is_available():
        parser.error(f'--device {args.device}: PyTorch sees no GPU here; use --device cpu')
    return args


@dataclass(frozen=True)
class Work:
    """An image and where its translation goes: outputs are named after `out`, an image's path."""

    source: Path
    out: Path
    aligned: bool


def chosen(args: argparse.Namespace) -> tuple[Path, PerceptionConfig]:
    """The file of weights, and the frozen networks that it was trained with as far as that is known."""
    if args.run:
        return args.run / 'family.safetensors', load(args.run / 'config.yaml').perception
    if args.weights is None:
        return default_weights(), PerceptionConfig()
    return weights.path(args.weights) if args.weights in weights.TABLE else Path(args.weights), PerceptionConfig()


def listed(args: argparse.Namespace, direction: str) -> list[Work]:
    """The images of --input. ValueError where there is none, or one would be written over."""
    works = list(_listed(args, direction))
    for work in works:
        if work.out.resolve() == work.source.resolve():
            raise ValueError(f'{work.source} would be written over by its translation; give another -o')
    return works


def _listed(args: argparse.Namespace, direction: str) -> Iterator[Work]:
    source, out = args.input, args.output or OUTPUT
    named = out.suffix.lower() in FORMATS
    if not source.is_dir():
        yield Work(source, out if named else out / f'{source.stem}.png', args.aligned)
        return
    if named:
        raise ValueError(f'{source} is a folder of images, so {out} has to be a folder, too')
    tests = source / f'test{direction[0].upper()}'
    deep = tests.is_dir()
    folder = tests if deep else source
    names = images_in(folder, deep=deep)
    if not names:
        raise ValueError(f'{folder} holds no image; give an image, a folder of images, or one with testA and testB')
    stems = {name: str(Path(name).with_suffix('')) for name in names}
    shared = Counter(stems.values())
    for name, stem in stems.items():
        yield Work(folder / name, out / f'{stem if shared[stem] == 1 else name}.png', args.aligned or deep)


def translated(work: Work, args: argparse.Namespace, translator: FaceTranslator, reference: Framed | None,
               makings: dict[str, Making | None]) -> None:
    """Write the images of one input; ValueError where it shows no face or cannot be read."""
    made = translator.image(read_image(work.source), face=args.face, aligned=work.aligned, styles=args.styles,
                              style=args.style, reference=reference, paste=args.paste)
    wanted = [made.pasted] if args.paste else [face.translations for face in made.faces]
    for number, images in enumerate(wanted):
        for style, image in enumerate(images):
            parts = [f'face{number}'] * (len(wanted) > 1) + [f'style{style + 1}'] * (len(images) > 1)
            name = '.'.join([work.out.stem, *parts]) + work.out.suffix
            write_image(work.out.with_name(name), image, makings[PART if args.paste else WHOLE])
    write_image(sheet_of(work), sheet(made), makings[PART])  # last: where it is, the rest is as well


def sheet_of(work: Work) -> Path:
    return work.out.with_name(f'{work.out.stem}.sheet.png')


def filmed(args: argparse.Namespace, translator: FaceTranslator, tracker: Tracker, reference: Framed | None, file: Path,
           making: Making | None) -> bool:
    """Videos and cameras; False where that was interrupted."""
    output = args.output
    if output is None and camera_name(args.input) is None:
        output = OUTPUT / f'{args.input.stem}.mp4' if args.input.is_file() else OUTPUT
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))  # the stages of a video overlap
    given = {'weights': weights.digest(file), **{name: str(getattr(args, name)) for name in ('direction', 'style', 'reference',
                                                                                              'features', 'face', 'detector')}}
    engine = VideoEngine(translator.maker(style=args.style, reference=reference), translator.size, tracker)
    return video(engine, args.input, output, making=making, settings=given, overwrite=args.overwrite)


def run(args: argparse.Namespace) -> int:
    filming = moving(args.input)
    if not filming and not args.input.exists():
        raise ValueError(f'there is no {args.input}; give an image, a video, a folder of these, or `camera`')
    reference = args.reference and read_image(args.reference)
    centers = args.features and read_centers(args.features)
    file, looks = chosen(args)
    perception = build_perception(looks.id_encoder, None, looks.parser or PerceptionConfig().parser).to(args.device)
    family, detector = load_translator(file, perception).to(args.device), build_detector(args.detector, args.device)
    translator = FaceTranslator(family, detector, args.direction, parser=perception.parser, centers=centers, device=args.device)
    if reference is not None:
        reference = translator.framed(reference)
        if reference.note:
            print(f'note on {args.reference}: {reference.note}', file=sys.stderr)
    translator.check(args.styles, reference is not None)
    makings = {kind: None if args.no_provenance else Making.of(translator.name, [file], translator.done, kind)
               for kind in (PART, WHOLE)}
    if filming:
        embed = FaceSwapper(family, perception, detector, device=args.device).embed
        tracker = Tracker(detector, embed, choice=args.face)
        return 0 if filmed(args, translator, tracker, reference, file, makings[PART]) else 130
    everything = listed(args, translator.direction)
    todo = [work for work in everything if args.overwrite or not sheet_of(work).is_file()]
    if len(everything) == 1 and todo:
        translated(todo[0], args, translator, reference, makings)
    else:
        translate_all(todo, len(everything), lambda work: translated(work, args, translator, reference, makings))
    print(sheet_of(everything[0]) if len(everything) == 1 else args.output or OUTPUT)
    return 0


def translate_all(todo: list[Work], count: int, one: Callable[[Work], None]) -> None:
    """Many images: what cannot be translated is said and passed over. ValueError where nothing could."""
    progress_bar, failed, began = ProgressBar(0, len(todo), visible=True), 0, time.monotonic()
    try:
        for number, work in enumerate(todo, 1):
            try:
                one(work)
            except ValueError as error:
                failed += 1
                progress_bar.say(f'{work.source}: {error}')
            progress_bar.step(number)
            progress_bar.show(number, {}, number / (time.monotonic() - began))
    finally:
        progress_bar.close()
    if todo and failed == len(todo):
        raise ValueError(f'none of {len(todo)} images could be translated; why stands above')
    there = f', {count - len(todo)} were there already' if count > len(todo) else ''
    print(f'{len(todo) - failed} images translated' + (f', {failed} not' if failed else '') + there, file=sys.stderr)


def main(argv: list[str] | None = None) -> int:
    try:
        return run(parse(argv))
    except (ValueError, OSError, weights.WeightsError) as error:
        print(f'translate.py: {error}', file=sys.stderr)
        return 2


if __name__ == '__main__':
    sys.exit(main())
