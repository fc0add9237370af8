"""Translate faces: photos to drawings (a2b) and drawings to photos (b2a).

    python scripts/translate.py --run RUN --input photo.jpg
    python scripts/translate.py --weights family.safetensors --direction b2a --input FOLDER -o OUT
    python scripts/translate.py --run RUN --input photo.jpg --styles 4 --paste
    python scripts/translate.py --run RUN --input photo.jpg --reference drawing.png
    python scripts/translate.py --run RUN --input FACES --aligned
    python scripts/translate.py --run RUN --input TWO_DOMAINS
    python scripts/translate.py --run RUN --input clip.mp4 -o translated.mp4
    python scripts/translate.py --run RUN --input camera

--input is an image, a folder of images, a folder of two domains, of which the test set (testA or testB) is translated, a video, a
folder of videos, or a camera. Videos, folders and cameras are treated as by scripts/swap.py, and the translated faces are pasted
into the frames. For each image NAME.png, the translated face or with --paste the whole image, and the contact sheet
NAME.sheet.png are written. Existing outputs are kept unless --overwrite is given. Outputs carry signed Content Credentials that
declare the generation and its model; scripts/provenance.py prints and verifies them.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from experiments.console import STOPPED, quiet_interrupts, run_script

quiet_interrupts()

import argparse
import os
from dataclasses import dataclass

import torch

from configs.resolve import load
from configs.schema import PerceptionConfig
from datasets.preparation.feature_clusters import read_centers
from experiments.options import add_device_option, add_provenance_options, is_signed
from experiments.reporting import ConsoleReport
from experiments.training.errors import RunError, explain_out_of_memory
from experiments.training.interruption import Interruption
from models import weights
from models.base import Perception
from models.perception.build import build_perception
from models.perception.detection import DETECTORS, build_detector
from models.pipelines.files.photos import open_photo
from models.pipelines.files.translations import (
    TranslationFile,
    TranslationSettings,
    photos_in,
    translate_files,
    translation_files,
)
from models.pipelines.io.provenance import COMPOSITE_MEDIA, GENERATED_MEDIA, GenerationInfo
from models.pipelines.photo import LARGEST, FaceSwapper
from models.pipelines.translate import FaceTranslator, default_weights, load_translator
from models.pipelines.video.driver import VideoRun, network_digests
from models.pipelines.video.engine import VideoEngine
from models.pipelines.video.targets import camera_name, check_video_output, is_video_target
from models.pipelines.video.tracking import Tracker

OUTPUT = Path('outputs/translate')
REPORT = ConsoleReport()


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    task = parser.add_argument_group('input and output')
    task.add_argument('--input', type=Path, required=True, metavar='IMAGE|FOLDER|VIDEO|camera', help='see above')
    task.add_argument('--direction', choices=('a2b', 'b2a'), help='photo to drawing, or drawing to photo (the first direction of '
                      'the family)')
    task.add_argument('--face', default=LARGEST, help='face of each image: largest, all, or its number by size from 0 '
                      '(%(default)s)')
    task.add_argument('--aligned', action='store_true', help='images are aligned faces of a data set: skip detection')
    task.add_argument('-o', '--output', type=Path, help=f'output folder, or output file of a single image or video ({OUTPUT}; a '
                      'window for a camera)')
    task.add_argument('--overwrite', action='store_true', help='process images and videos again whose outputs exist')
    model = parser.add_argument_group('model')
    model.add_argument('--run', type=Path, help='run folder of train.py')
    model.add_argument('--weights', metavar='NAME|FILE', help='instead of --run: name in the table of weights, or '
                       'family.safetensors')
    add_device_option(model)
    processing = parser.add_argument_group('processing')
    processing.add_argument('--styles', type=int, default=1, help='number of styles for each face (%(default)s)')
    processing.add_argument('--style', type=int, default=0, help='seed of the first style (%(default)s)')
    processing.add_argument('--reference', type=Path, metavar='IMAGE',
                            help='instead of --styles: image whose style is transferred')
    processing.add_argument('--features', type=Path, metavar='FILE',
                            help='with pix2pixHD: part features of encode_features.py, from which styles are sampled')
    processing.add_argument('--paste', action='store_true', help='paste the translated faces into the image')
    processing.add_argument('--detector', default='mtcnn', choices=DETECTORS, help='face detector (%(default)s)')
    add_provenance_options(processing)
    args = parser.parse_args(argv)
    if args.run and args.weights:
        parser.error('give --run or --weights, not both')
    if is_video_target(args.input, args.output) and (args.aligned or args.styles != 1):
        parser.error('--aligned and --styles do not support videos and cameras')
    return args


def weights_file(args: argparse.Namespace) -> tuple[Path, PerceptionConfig]:
    """The file of weights, and the perception networks of its training run, or the default ones."""
    if args.run:
        return args.run / 'family.safetensors', load(args.run / 'config.yaml').perception
    if args.weights is None:
        return default_weights(), PerceptionConfig()
    return weights.path(args.weights) if args.weights in weights.TABLE else Path(args.weights), PerceptionConfig()


def list_files(args: argparse.Namespace, direction: str) -> list[TranslationFile]:
    return translation_files(args.input, args.output or OUTPUT, direction, aligned=args.aligned,
                             inputs=[args.reference] if args.reference else [], overwrite=args.overwrite)


@dataclass(frozen=True)
class Job:
    """A translator with its settings. infos: Content Credentials of whole and partly generated images, None for none; networks:
    names or files, as in network_digests."""

    translator: FaceTranslator
    perception: Perception
    settings: TranslationSettings
    infos: dict[str, GenerationInfo | None]
    networks: list[str]


def build(args: argparse.Namespace) -> Job:
    reference_image, signed = open_photo(args.reference, REPORT).rgb if args.reference else None, is_signed(args)
    centers = args.features and read_centers(args.features)
    file, config = weights_file(args)
    id_encoder, parser = config.id_encoder, config.parser or PerceptionConfig().parser
    perception = build_perception(id_encoder, None, parser).to(args.device)
    family, detector = load_translator(file, perception).to(args.device), build_detector(args.detector, args.device)
    translator = FaceTranslator(family, detector, args.direction, parser=perception.parser, centers=centers, device=args.device)
    reference = None if reference_image is None else translator.align_image(reference_image)
    if reference is not None and reference.note:
        REPORT.message(f'note on {args.reference}: {reference.note}')
    translator.check(args.styles, reference is not None)
    infos = {kind: GenerationInfo.of(translator.name, [file], translator.description, kind) if signed else None
             for kind in (COMPOSITE_MEDIA, GENERATED_MEDIA)}
    return Job(translator, perception, TranslationSettings(args.face, args.styles, args.style, reference, args.paste), infos,
               [str(file), id_encoder, parser])


def write_images(args: argparse.Namespace, job: Job, files: list[TranslationFile]) -> None:
    translate_files(files, job.translator, job.settings, job.infos, REPORT, overwrite=args.overwrite)
    print(files[0].sheet if len(files) == 1 else args.output or OUTPUT)


def run_images(args: argparse.Namespace) -> int:
    """Translate an image or the images of a folder."""
    if not os.path.exists(args.input):
        raise ValueError(f'there is no {args.input}; give an image, a video, a folder of these, or `camera`')
    if args.input.is_file():
        list_files(args, 'a2b')  # checks the files before the networks are loaded
    job = build(args)
    write_images(args, job, list_files(args, job.translator.direction))
    return 0


def run_video(args: argparse.Namespace) -> int:
    """Translate the faces of a video, of the videos and images of a folder, or of a camera stream."""
    output = args.output
    if output is None and camera_name(args.input) is None:
        output = OUTPUT / f'{args.input.stem}.mp4' if os.path.isfile(args.input) else OUTPUT
    check_video_output(args.input, output)
    files = list_files(args, args.direction or 'a2b') if args.input.is_dir() and photos_in(args.input) else []
    job = build(args)
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))  # the stages of a video overlap
    translator, settings = job.translator, job.settings
    embed = FaceSwapper(translator.family, job.perception, translator.detector, device=args.device).embed
    tracker = Tracker(translator.detector, embed, choice=args.face)
    engine = VideoEngine(translator.face_generator(style=settings.style, reference=settings.reference), translator.size, tracker)
    dependencies = {'networks': network_digests(*job.networks),
                    **{name: str(getattr(args, name)) for name in ('direction', 'style', 'face', 'detector')},
                    **{name: file and weights.digest(file)
                       for name, file in (('reference', args.reference), ('features', args.features))}}
    with Interruption() as interruption:
        result = VideoRun(engine, job.infos[COMPOSITE_MEDIA], dependencies, args.overwrite, REPORT,
                          lambda: interruption.signal is not None).convert(args.input, output)
    if not result.finished:
        return STOPPED
    if files:
        write_images(args, job, files)
    if result.error:
        raise result.error
    return 0


def run(args: argparse.Namespace) -> int:
    return run_video(args) if is_video_target(args.input, args.output) else run_images(args)


def main(argv: list[str] | None = None) -> int:
    try:
        with explain_out_of_memory(lambda: 'set --device cpu or take smaller images'):
            return run(parse(argv))
    except (ValueError, OSError, weights.WeightsError, RunError) as error:
        print(f'translate.py: {error}', file=sys.stderr)
        return 2


if __name__ == '__main__':
    sys.exit(run_script(main))
