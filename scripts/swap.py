"""Put the face of one photo on another.

    python scripts/swap.py --demo
    python scripts/swap.py --source a.jpg --target b.jpg -o out.png
    python scripts/swap.py --source a.jpg --target group.jpg --like friend.jpg -o out.png
    python scripts/swap.py --people PEOPLE.csv --target group.jpg -o out.png
    python scripts/swap.py --source a.jpg --target clip.mp4 -o out.mp4
    python scripts/swap.py --source a.jpg --target FOLDER -o FOLDER
    python scripts/swap.py --source a.jpg --target camera
    python scripts/swap.py --pairs PAIRS.csv --root CELEBA -o FOLDER
    python scripts/swap.py --weights simswap-224 --source a.jpg --target b.jpg -o out.png

Photos keep alpha (as PNG) and color profile; networks see them in sRGB, 8 bits, over gray where they are transparent. A photo
without color stays so. -o is no input unless --overwrite says so.

What is written says by signed Content Credentials that it was made and how; scripts/provenance.py shows and checks them. Images
of --pairs are for measuring and bear none.

--target may be a photo, a video, a folder of these, or a camera: `camera`, `camera:1`, `camera:FILE` to play a video as one. A
camera shows in a window unless -o names a video (.mp4) or a virtual camera (/dev/video10 of v4l2loopback). A video keeps its time
stamps and its sound; --face means a size in the first frame that shows so many faces, and that person from then on. What was
interrupted goes on from OUTPUT.parts when it is asked for again. Videos are written as H.264 in 4:2:0 and 8 bits with even sides:
HDR is tone-mapped to BT.709, and sound that media software does not expect in an MP4 is encoded as AAC; a note says so. Animated
GIF, WebP and PNG are videos, too, unless -o names an image. Of a folder, videos of one stem get NAME.mp4, such as clip.mov.mp4.

--weights simswap-224 runs the published SimSwap with its own crops, normalization and way of pasting back (non-commercial), once
`python scripts/weights.py fetch simswap-224 simswap-arcface --allow-unverified` and
`python scripts/weights.py convert simswap-arcface --unpickle` have been run.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from experiments.training.interruption import STOPPED, quiet_interrupts, run_script

quiet_interrupts()

import argparse
import hashlib
import os
from functools import partial, reduce
from itertools import chain

import numpy as np
import torch

from configs.resolve import checked, merge, parse_override
from experiments.evaluation.protocols.pairs import swap_pairs
from experiments.filming import camera_name, check_video_output, moving, network_digests, video, videos_in
from experiments.photos import photos_in, process_all, read_noted, read_people
from experiments.provenance import add_provenance_options, signs
from experiments.training.errors import RunError, memory_explained
from models import weights
from models.base import Family, Perception
from models.cgan.published import load_generator
from models.image_io import Photo
from models.perception.build import PHOTO_PARSER, build_perception, load_parser
from models.perception.detection import DETECTORS, Face, build_detector
from models.pipelines.demo import demo
from models.pipelines.io.images import check_output, write_image
from models.pipelines.io.provenance import GenerationInfo, with_visible_label
from models.pipelines.onnx_export import PortableFamily, SwapSession, export_family, export_generator
from models.pipelines.photo import ALL, DONE, LARGEST, FaceSwapper, choose
from models.pipelines.simswap import FRAMINGS, files, load_simswap
from models.pipelines.upscaling import Upscaler
from models.pipelines.video.engine import VideoEngine
from models.pipelines.video.tracking import Tracker
from models.registry import SWAPPER, SWAPPERS, load_family
from models.runtime.fusion import fused
from models.runtime.sessions import opened
from models.storage.files import WriteError


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    task = parser.add_argument_group('what to swap')
    task.add_argument('--demo', action='store_true', help='swap between photographs that installed packages carry')
    task.add_argument('--source', type=Path, help='photo of the person whose face is wanted')
    task.add_argument('--target', type=Path, help='photo, video, folder of these or camera that gets the face')
    task.add_argument('--people', type=Path, help='instead of --source: CSV with the columns reference,source, photos of people '
                      'in the target and of those who take their places')
    task.add_argument('--pairs', type=Path, help='CSV with the columns source,target: aligned images of --root')
    task.add_argument('--root', type=Path, help='CelebA folder of --pairs')
    task.add_argument('-o', '--output', type=Path, help='image or video to write; a folder with --demo, --pairs, folders')
    which = parser.add_argument_group('which faces')
    which.add_argument('--source-face', metavar='FACE', help='largest, or the number by size from 0')
    which.add_argument('--face', default='largest', help='of the target: largest (default), all, or the number by size')
    which.add_argument('--like', type=Path, metavar='PHOTO', help='instead of --face: who is most like the person of this photo')
    how = parser.add_argument_group('how')
    how.add_argument('--family', default=SWAPPER, choices=SWAPPERS,
                     help='model family whose own weights are used (%(default)s)')
    how.add_argument('--weights', help='instead: weights of a run (family.safetensors), a file of export.py (.onnx), or '
                     f'{", ".join(FRAMINGS)}')
    how.add_argument('--runtime', default='torch', choices=('torch', 'onnx'), help='what runs the generator')
    how.add_argument('--detector', default='mtcnn', choices=DETECTORS)
    how.add_argument('--no-color', action='store_true', help="keep the generator's tones instead of matching the target's")
    how.add_argument('--upscale', type=Path, metavar='FILE', help='super-resolution network (.onnx, RGB in [0,1]) for made faces')
    how.add_argument('--parsing-mask', action='store_true', help='with SimSwap: change only what BiSeNet sees as face')
    how.add_argument('--debug', action='store_true', help='also write NAME.debug.png: before, after, and where it was changed')
    how.add_argument('--mark', action='store_true', help='also say it in the image, in the lower right corner')
    add_provenance_options(how)
    how.add_argument('--sampling', nargs='+', default=[], metavar='KEY=VALUE', help='how the family ddpm draws, such as steps=50 '
                     'eta=1 guidance=2 towards=1 inversion=0.5 sampler=dpm++')
    how.add_argument('--seed', type=int, default=0, help='of what a family draws by chance')
    how.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    how.add_argument('--batch', type=int, default=32, help='pairs at a time (default 32)')
    how.add_argument('--overwrite', action='store_true', help='replace inputs by their output; with --pairs and '
                     'a folder: also swap what is there already')
    args = parser.parse_args(argv)
    alone = args.demo + bool(args.source) + bool(args.people) + bool(args.pairs) == 1
    if not alone or bool(args.target) != bool(args.source or args.people):
        parser.error('give --demo, or --source and --target, or --people and --target, or --pairs and --root')
    if args.like and not args.source:
        parser.error('--like says whom --source replaces in --target: give these')
    if args.pairs and not (args.root and args.output):
        parser.error('--pairs wants the CelebA folder as --root and a folder to write to as -o')
    if args.weights in FRAMINGS and args.pairs:
        parser.error(f'{args.weights} cuts its own crops out of photos: give --source and --target, or --demo')
    if args.target and moving(args.target, args.output) and (args.weights in FRAMINGS or args.debug):
        parser.error(f'videos and cameras go without {"--debug" if args.debug else args.weights}')
    if args.target and args.target.is_dir() and args.debug:
        parser.error('--debug looks at one photo: give one as --target')
    if args.upscale and (args.pairs or args.weights in FRAMINGS or args.target and moving(args.target, args.output)):
        parser.error('--upscale refines the made faces of photos; it goes with neither videos, nor --pairs, nor SimSwap')
    if args.sampling and args.weights and (args.weights in FRAMINGS or args.weights.endswith('.onnx')):
        parser.error(f'--sampling says how the family ddpm draws; {args.weights} draws in one step')
    if args.parsing_mask and args.weights not in FRAMINGS:
        parser.error(f'--parsing-mask belongs to --weights {" and ".join(FRAMINGS)}')
    if args.device.startswith('cuda') and not torch.cuda.is_available():
        parser.error(f'--device {args.device}: PyTorch sees no GPU here; use --device cpu')
    return args


def chosen(args: argparse.Namespace) -> Path:
    """The file of a family's weights."""
    if args.weights:
        return Path(args.weights)
    if args.family not in weights.TABLE:
        raise ValueError(f'the zoo holds no weights of the family {args.family}: train it with `python scripts/train.py --family '
                         f'{args.family}` and give the family.safetensors of the run as --weights')
    return weights.path(args.family)


def loaded(args: argparse.Namespace, perception: Perception) -> Family:
    """The chosen family; ValueError where it swaps no faces."""
    family = load_family(chosen(args), perception)
    if family.task != 'swap':
        raise ValueError(f'{chosen(args)} holds a {type(family).__name__}, which translates faces: use scripts/translate.py')
    if args.sampling:
        usual = getattr(family.config, 'sampling', None)
        if usual is None:
            raise ValueError(f'--sampling says how the family ddpm draws; a {type(family).__name__} draws in one step')
        asked = reduce(merge, map(parse_override, args.sampling), usual.model_dump())
        family.config = family.config.model_copy(update={'sampling': checked(type(usual), asked)})
    return family


def open_session(args: argparse.Namespace, perception: Perception) -> SwapSession | None:
    """The generator on onnxruntime, where that is wanted."""
    if args.weights and args.weights.endswith('.onnx'):
        session = SwapSession(Path(args.weights), args.device)
    elif args.runtime == 'torch':
        return None
    elif args.weights in FRAMINGS:
        session = opened(partial(export_generator, load_generator(args.weights)), args.device, open_file=SwapSession)
    else:
        session = opened(partial(export_family, loaded(args, perception)), args.device, open_file=SwapSession)
    print(f'onnxruntime runs the generator on {session.provider}')
    return session


def making(args: argparse.Namespace, signed: bool) -> GenerationInfo | None:
    """What the images say of themselves."""
    if not signed:
        return None
    read = files(args.weights) if args.weights in FRAMINGS else [chosen(args)]
    name = args.weights if args.weights in FRAMINGS else read[0].stem if args.weights else args.family
    return GenerationInfo.of(name, read, DONE)


def cast(args: argparse.Namespace, swapper: FaceSwapper, source: np.ndarray | None, like: np.ndarray | None,
         people: list[tuple[np.ndarray, np.ndarray]] | None) -> tuple[list, torch.Tensor | None]:
    """Who takes a role in a video, as photos with a face, and the identities (R,D) of those whose roles these are, or None."""
    if args.source_face == ALL:
        raise ValueError('only one face can be the source; say largest or a number')

    def first(photo: np.ndarray, what: str, choice: str | None = LARGEST) -> Face:
        return choose(swapper.detector.detect(photo), choice, what)[0]

    wanted = [like] if like is not None else [reference for reference, _ in people or []]
    known = [swapper.embed(photo, [first(photo, f'reference {index}')]) for index, photo in enumerate(wanted)]
    if people:
        givers = [(photo, first(photo, f'source of person {index}')) for index, (_, photo) in enumerate(people)]
    else:
        givers = [(source, first(source, 'source', args.source_face))]
    return givers, torch.cat(known) if known else None


def settings(args: argparse.Namespace, photos: list[np.ndarray]) -> dict:
    """What the pieces of a video depend on besides the video."""
    keys = 'face', 'source_face', 'runtime', 'detector', 'no_color', 'mark', 'sampling', 'seed'
    return {'photos': [hashlib.sha256(photo.tobytes()).hexdigest() for photo in photos], 'weights': weights.digest(chosen(args)),
            'perception': network_digests('identity-mobilefacenet', PHOTO_PARSER), **{key: getattr(args, key) for key in keys}}


def run(args: argparse.Namespace) -> int:
    filming = args.target is not None and moving(args.target, args.output)
    output, photos, target, failure = args.output or default_output(args, filming), [], None, None
    signed = not args.pairs and signs(args)
    if args.target:  # whatever is wrong with the files is said before the networks are loaded
        named = read_people(args.people) if args.people else []
        inputs = [path for path in (args.source, args.like, *chain(*named)) if path]
        source, like = (path and read_noted(path).rgb for path in (args.source, args.like))
        people = [tuple(read_noted(path).rgb for path in row) for row in named]
        if args.target.is_dir():
            photos = photos_in(args.target, output, inputs, exclude=videos_in(args.target), overwrite=args.overwrite)
            if not photos and not filming:
                raise ValueError(f'{args.target} holds no photo and no video; give another folder')
        elif not filming:
            target = read_noted(args.target)
            for path in (output, output.with_suffix('.debug.png'))[:1 + args.debug]:
                check_output(path, [args.target, *inputs], overwrite=args.overwrite)
    else:
        check_output(output / 'swap.png')
    if filming:
        check_video_output(args.target, output)
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))  # the stages of a video overlap
    torch.manual_seed(args.seed)
    perception = build_perception(parser='parsing-unet' if args.pairs else PHOTO_PARSER)
    session = open_session(args, perception)
    perception.to(args.device)
    if args.weights in FRAMINGS:
        generator = session or fused(load_generator(args.weights)).to(args.device, memory_format=torch.channels_last)
        swapper = load_simswap(args.weights, generator.swap, build_detector(args.detector, args.device), device=args.device,
                               parser=load_parser('bisenet').to(args.device) if args.parsing_mask else None)
    else:
        family = PortableFamily(session, perception) if session else loaded(args, perception)
        family.to(args.device)
        if args.pairs:
            written, kept = swap_pairs(family, args.root, args.pairs, output, device=args.device, batch=args.batch,
                                       overwrite=args.overwrite)
            print(f'{output}: {written} images written' + (f', {kept} were there already' if kept else ''))
            return 0
        swapper = FaceSwapper(family, perception, build_detector(args.detector, args.device), device=args.device,
                              color=not args.no_color, upscale=args.upscale and Upscaler(args.upscale, args.device))
    made = making(args, signed)
    if args.demo:
        for name, image in zip(('swap.png', 'contact.png'), demo(swapper)):
            write(args, output / name, Photo(image), made)
        return 0
    if filming:
        givers, known = cast(args, swapper, source, like, people)
        tracker = Tracker(swapper.detector, swapper.embed, choice=args.face, references=known)
        engine = VideoEngine(swapper.maker(givers), swapper.size, tracker, color=not args.no_color,
                             finish=with_visible_label if args.mark else None)
        given = settings(args, [photo for photo in (source, like, *chain(*people)) if photo is not None])
        try:
            if not video(engine, args.target, output, making=made, settings=given, overwrite=args.overwrite):
                return STOPPED
        except ValueError as error:
            if not photos or isinstance(error, WriteError):
                raise
            failure = error  # raised once the photos of the folder are swapped

    def swap(photo: Photo, path: Path) -> None:
        swapped = swapper.swap_people(photo.rgb, people) if people else swapper.swap(
            source, photo.rgb, source_face=args.source_face, target_face=args.face, like=like)
        for note in swapped.notes:
            print(f'note: {f"{path}: " if photos else ""}{note}', file=sys.stderr)
        write(args, path, photo.with_rgb(swapped.image), made)
        if args.debug:
            cover = np.repeat((swapped.cover * 255).round().astype(np.uint8)[..., None], 3, 2)
            write(args, path.with_suffix('.debug.png'), Photo(np.hstack([photo.rgb, swapped.image, cover])), made)

    if target is not None:
        swap(target, output)
    if photos:
        todo = [pair for pair in photos if args.overwrite or not pair[1].exists()]
        print(process_all(todo, len(photos), lambda pair: swap(read_noted(pair[0]), pair[1]), name=lambda pair: pair[0],
                          done='swapped'), file=sys.stderr)
    if failure is not None:
        raise failure
    return 0


def default_output(args: argparse.Namespace, filming: bool) -> Path | None:
    """Where -o says nothing; None for a camera's window."""
    if filming and camera_name(args.target):
        return None
    name = f'{args.target.stem}.mp4' if filming else 'swap.png'
    return Path('outputs') / ('' if args.target is None or args.target.is_dir() else name)


def write(args: argparse.Namespace, path: Path, photo: Photo, made: GenerationInfo | None) -> None:
    """Write an image, labeled with --mark, and print its path."""
    write_image(path, photo.with_rgb(with_visible_label(photo.rgb), opaque=True) if args.mark else photo, made)
    print(path)


def main(argv: list[str] | None = None) -> int:
    try:
        with memory_explained(lambda: 'set --batch lower or --device cpu'):
            return run(parse(argv))
    except (ValueError, OSError, weights.WeightsError, RunError) as error:
        print(f'swap.py: {error}', file=sys.stderr)
        return 2


if __name__ == '__main__':
    sys.exit(run_script(main))
