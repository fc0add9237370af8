"""Swap faces in photos, videos, folders and camera streams.

    python scripts/swap.py --demo
    python scripts/swap.py --source a.jpg --target b.jpg -o out.png
    python scripts/swap.py --source a.jpg --target group.jpg --reference friend.jpg -o out.png
    python scripts/swap.py --identities LIST.csv --target group.jpg -o out.png
    python scripts/swap.py --source a.jpg --target clip.mp4 -o out.mp4
    python scripts/swap.py --source a.jpg --target FOLDER -o FOLDER
    python scripts/swap.py --source a.jpg --target camera
    python scripts/swap.py --pairs PAIRS.csv --root CELEBA -o FOLDER
    python scripts/swap.py --weights simswap-224 --source a.jpg --target b.jpg -o out.png

Photos keep alpha (in PNG) and color profile; the networks process 8-bit sRGB, with gray under transparent pixels. Grayscale
photos stay grayscale. -o may replace an input only with --overwrite.

Outputs carry signed Content Credentials that declare the generation and its model; scripts/provenance.py prints and verifies
them. Images of --pairs are evaluation data and carry none.

--target is a photo, a video, a folder of both, or a camera: `camera`, `camera:1`, or `camera:FILE` to play a video as a camera
stream. A camera stream is shown in a window unless -o names a video (.mp4) or a virtual camera (/dev/video10 of v4l2loopback).
Videos keep time stamps and sound; --face selects by size in the first frame with that many faces, and the identity is tracked
from then on. An interrupted conversion resumes from OUTPUT.parts when the command is repeated. Videos are written as H.264,
4:2:0, 8 bits, with even sides: HDR is tone-mapped to BT.709, and sound in a format that is uncommon in MP4 is encoded as AAC;
both are reported. Animated GIF, WebP and PNG files are videos unless -o names an image. Videos of a folder that share a stem
become NAME.mp4, such as clip.mov.mp4.

--weights simswap-224 runs the published SimSwap with its own crops, normalization and blending (non-commercial license). It
requires `python scripts/weights.py fetch simswap-224 simswap-arcface --allow-unverified` and
`python scripts/weights.py convert simswap-arcface --unpickle`.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from experiments.console import STOPPED, quiet_interrupts, run_script

quiet_interrupts()

import argparse
import hashlib
import os

import numpy as np
import torch

from experiments.evaluation.protocols.pairs import swap_pairs
from experiments.options import RenamedOption, add_device_option, add_provenance_options, is_signed
from experiments.reporting import ConsoleReport
from experiments.training.errors import RunError, explain_out_of_memory
from experiments.training.interruption import Interruption
from models import weights
from models.base import Perception
from models.cgan.published import load_generator
from models.image_io import Photo
from models.perception.build import PHOTO_PARSER, build_perception
from models.perception.detection import DETECTORS, build_detector
from models.pipelines.demo import demo
from models.pipelines.files.photos import ImageWriter, open_photo, photo_outputs
from models.pipelines.files.swaps import SwapRequest, debug_path, swap_photo, swap_photos
from models.pipelines.io.images import check_output
from models.pipelines.io.visible_label import with_visible_label
from models.pipelines.onnx_export import SwapSession
from models.pipelines.photo import FaceSwapper, PhotoSwapper
from models.pipelines.simswap import CROP_TEMPLATES
from models.pipelines.swap_model import SwapModel
from models.pipelines.upscaling import Upscaler
from models.pipelines.video.driver import VideoRun, network_digests
from models.pipelines.video.engine import VideoEngine
from models.pipelines.video.targets import camera_name, check_video_output, is_video_target, videos_in
from models.pipelines.video.tracking import Tracker
from models.registry import SWAPPER, SWAPPERS

REPORT = ConsoleReport()


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    task = parser.add_argument_group('input and output')
    task.add_argument('--demo', action='store_true', help='swap between photographs of the installed packages')
    task.add_argument('--source', type=Path, help='photo of the source face')
    task.add_argument('--target', type=Path, help='photo, video, folder of both, or camera whose faces are replaced')
    task.add_argument('--identities', type=Path, metavar='CSV', help='instead of --source: CSV with the columns reference (photo '
                      'of an identity in the target) and source (photo of the face that replaces it)')
    task.add_argument('--people', dest='identities', type=Path, action=RenamedOption, help=argparse.SUPPRESS)
    task.add_argument('--pairs', type=Path, help='CSV with the columns source and target: aligned images under --root')
    task.add_argument('--root', type=Path, help='CelebA folder of --pairs')
    task.add_argument('-o', '--output', type=Path, help='image or video to write; a folder with --demo, --pairs and folders')
    faces = parser.add_argument_group('selection of faces')
    faces.add_argument('--source-face', metavar='FACE', help='source face: largest, or its number by size from 0')
    faces.add_argument('--face', default='largest', help='target face: largest, all, or its number by size from 0 (%(default)s)')
    faces.add_argument('--reference', type=Path, metavar='PHOTO',
                       help='instead of --face: photo of the identity that is replaced')
    faces.add_argument('--like', dest='reference', type=Path, action=RenamedOption, help=argparse.SUPPRESS)
    model = parser.add_argument_group('model')
    model.add_argument('--family', default=SWAPPER, choices=SWAPPERS, help='family with weights in the zoo (%(default)s)')
    model.add_argument('--weights', help='instead of --family: family.safetensors of a run, .onnx file of export.py, or one of '
                       f'{", ".join(CROP_TEMPLATES)}')
    model.add_argument('--runtime', default='torch', choices=('torch', 'onnx'), help='runtime of the generator (%(default)s)')
    model.add_argument('--sampling', nargs='+', default=[], metavar='KEY=VALUE', help='sampling settings of the family ddpm, '
                       'such as steps=50 eta=1 guidance=2 id_guidance=1 inversion=0.5 sampler=dpm++')
    model.add_argument('--seed', type=int, default=0, help='seed of the random numbers (%(default)s)')
    add_device_option(model)
    model.add_argument('--batch', type=int, default=32, help='batch size of --pairs (%(default)s)')
    processing = parser.add_argument_group('processing')
    processing.add_argument('--detector', default='mtcnn', choices=DETECTORS, help='face detector (%(default)s)')
    processing.add_argument('--no-color', action='store_true',
                            help='keep the colors of the generator instead of matching the target')
    processing.add_argument('--no-colour', dest='no_color', nargs=0, action=RenamedOption, help=argparse.SUPPRESS)
    processing.add_argument('--upscale', type=Path, metavar='FILE',
                            help='super-resolution network for generated faces (.onnx, RGB in [0,1])')
    processing.add_argument('--parsing-mask', action='store_true',
                            help='with SimSwap: restrict the swap to the face region of BiSeNet')
    processing.add_argument('--debug', action='store_true',
                            help='also write NAME.debug.png: target, result and mask side by side')
    processing.add_argument('--mark', action='store_true', help='add a visible label in the lower right corner')
    add_provenance_options(processing)
    processing.add_argument('--overwrite', action='store_true',
                            help='allow -o to replace an input; process --pairs and folders again where outputs exist')
    args = parser.parse_args(argv)
    check(parser, args)
    return args


def check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Refuse options that do not go together."""
    video, simswap = args.target is not None and is_video_target(args.target, args.output), args.weights in CROP_TEMPLATES
    one_task = args.demo + bool(args.source) + bool(args.identities) + bool(args.pairs) == 1
    if not one_task or bool(args.target) != bool(args.source or args.identities):
        parser.error('give --demo, or --source and --target, or --identities and --target, or --pairs and --root')
    if args.reference and not args.source:
        parser.error('--reference selects the target face that --source replaces: give --source and --target')
    if args.pairs and not (args.root and args.output):
        parser.error('--pairs requires the CelebA folder as --root and an output folder as -o')
    if simswap and args.pairs:
        parser.error(f'{args.weights} crops faces from photos itself: give --source and --target, or --demo')
    if video and (simswap or args.debug):
        parser.error(f'{"--debug" if args.debug else args.weights} does not support videos and cameras')
    if args.target and args.target.is_dir() and args.debug:
        parser.error('--debug requires a single photo as --target')
    if args.upscale and (args.pairs or simswap or video):
        parser.error('--upscale applies to faces in photos; it does not support videos, --pairs and SimSwap')
    if args.sampling and args.weights and (simswap or args.weights.endswith('.onnx')):
        parser.error(f'--sampling sets the sampler of the family ddpm; {args.weights} generates in one step')
    if args.parsing_mask and not simswap:
        parser.error(f'--parsing-mask requires --weights {" or ".join(CROP_TEMPLATES)}')


def build_model(args: argparse.Namespace) -> SwapModel:
    return SwapModel(load_generator, args.family, args.weights, args.runtime, args.sampling, args.device)


def build_networks(args: argparse.Namespace, model: SwapModel, parser: str) -> tuple[Perception, SwapSession | None]:
    """Perception networks and, with onnxruntime, the session of the generator. Seeds torch."""
    torch.manual_seed(args.seed)
    perception = build_perception(parser=parser)
    session = model.open_session(perception)
    if session:
        print(f'onnxruntime runs the generator on {session.provider}')
    return perception.to(args.device), session


def build_swapper(args: argparse.Namespace, model: SwapModel) -> PhotoSwapper:
    perception, session = build_networks(args, model, PHOTO_PARSER)
    if model.simswap:
        return model.load_simswap(build_detector(args.detector, args.device), session, parsing_mask=args.parsing_mask)
    return FaceSwapper(model.load(perception, session), perception, build_detector(args.detector, args.device),
                       device=args.device, color=not args.no_color,
                       upscale=Upscaler(args.upscale, args.device) if args.upscale else None)


def read_request(args: argparse.Namespace) -> SwapRequest:
    return SwapRequest.read(args.source, args.reference, args.identities, REPORT, source_face=args.source_face,
                            target_face=args.face)


def conversion_settings(args: argparse.Namespace, model: SwapModel, photos: list[np.ndarray]) -> dict:
    """The values that the frames of a video depend on besides the video, as in VideoEngine.convert."""
    keys = 'face', 'source_face', 'runtime', 'detector', 'no_color', 'mark', 'sampling', 'seed'
    return {'photos': [hashlib.sha256(photo.tobytes()).hexdigest() for photo in photos], 'weights': weights.digest(model.file),
            'perception': network_digests('identity-mobilefacenet', PHOTO_PARSER), **{key: getattr(args, key) for key in keys}}


def run_pairs(args: argparse.Namespace) -> int:
    """Swap a list of aligned images."""
    check_output(args.output / 'swap.png')
    model = build_model(args)
    perception, session = build_networks(args, model, 'parsing-unet')
    written, kept = swap_pairs(model.load(perception, session), args.root, args.pairs, args.output, device=args.device,
                               batch=args.batch, overwrite=args.overwrite)
    print(f'{args.output}: {written} images written' + (f', {kept} existed already' if kept else ''))
    return 0


def run_demo(args: argparse.Namespace) -> int:
    """Swap between the photographs of installed packages."""
    output, model, signed = args.output or Path('outputs'), build_model(args), is_signed(args)
    check_output(output / 'swap.png')
    swapper = build_swapper(args, model)
    write = ImageWriter(REPORT, model.info if signed else None, args.mark)
    for name, image in zip(('swap.png', 'contact.png'), demo(swapper)):
        write(output / name, Photo(image))
    return 0


def run_photos(args: argparse.Namespace) -> int:
    """Swap the faces of a photo or of the photos of a folder."""
    folder, model, signed, request = args.target.is_dir(), build_model(args), is_signed(args), read_request(args)
    output = args.output or (Path('outputs') if folder else Path('outputs/swap.png'))
    if folder:
        files = photo_outputs(args.target, output, request.files, exclude=videos_in(args.target), overwrite=args.overwrite)
        if not files:
            raise ValueError(f'{args.target} contains no photo and no video; give another folder')
    else:
        target = open_photo(args.target, REPORT)
        for path in [output, debug_path(output)] if args.debug else [output]:
            check_output(path, [args.target, *request.files], overwrite=args.overwrite)
    swapper = build_swapper(args, model)
    write = ImageWriter(REPORT, model.info if signed else None, args.mark)
    if folder:
        swap_photos(request, swapper, files, write, overwrite=args.overwrite)
    else:
        swap_photo(request, swapper, target, output, write, debug=args.debug)
    return 0


def run_video(args: argparse.Namespace) -> int:
    """Swap the faces of a video, of the videos and photos of a folder, or of a camera stream."""
    folder, model, signed, request = args.target.is_dir(), build_model(args), is_signed(args), read_request(args)
    output = args.output
    if output is None and camera_name(args.target) is None:
        output = Path('outputs') if folder else Path('outputs') / f'{args.target.stem}.mp4'
    files = photo_outputs(args.target, output, request.files, exclude=videos_in(args.target),
                          overwrite=args.overwrite) if folder else []
    check_video_output(args.target, output)
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))  # the stages of a video overlap
    swapper = build_swapper(args, model)
    info = model.info if signed else None
    sources, references = request.roles(swapper)
    tracker = Tracker(swapper.detector, swapper.embed, choice=args.face, references=references)
    engine = VideoEngine(swapper.face_generator(sources), swapper.size, tracker, color=not args.no_color,
                         finish=with_visible_label if args.mark else None)
    with Interruption() as interruption:
        result = VideoRun(engine, info, conversion_settings(args, model, request.photos), args.overwrite, REPORT,
                          lambda: interruption.signal is not None).convert(args.target, output)
    if not result.finished:
        return STOPPED
    if files:
        swap_photos(request, swapper, files, ImageWriter(REPORT, info, args.mark), overwrite=args.overwrite)
    if result.error:
        raise result.error
    return 0


def run(args: argparse.Namespace) -> int:
    if args.demo:
        return run_demo(args)
    if args.pairs:
        return run_pairs(args)
    return run_video(args) if is_video_target(args.target, args.output) else run_photos(args)


def main(argv: list[str] | None = None) -> int:
    try:
        with explain_out_of_memory(lambda: 'set --batch lower or --device cpu'):
            return run(parse(argv))
    except (ValueError, OSError, weights.WeightsError, RunError) as error:
        print(f'swap.py: {error}', file=sys.stderr)
        return 2


if __name__ == '__main__':
    sys.exit(run_script(main))
