"""Speed, flicker and identity similarity of a swapped video."""
import tempfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from models import geometry, weights
from models.perception.build import PHOTO_PARSER, build_perception, load_embedder
from models.perception.detection import build_detector
from models.pipelines.demo import demo_photo
from models.pipelines.io.images import read_image
from models.pipelines.occlusion import hull
from models.pipelines.photo import LARGEST, FaceSwapper, choose, crop_face
from models.pipelines.video.animation import open_clip
from models.pipelines.video.clip import Clip
from models.pipelines.video.engine import VideoEngine
from models.pipelines.video.tracking import Tracker
from models.registry import SWAPPER, load_family

_SIDE_PX = 128  # side of the face template of the hull; the crops of the embedder are twice as large


def video_figures(
    video: Path, source: Path | None, *, file: str | None, judge: str, threads: int, device: str
) -> dict[str, float]:
    """Swap a video and measure the result.

    Flicker is the mean absolute difference of successive frames inside the hull of the face, without warping; its ratio is that
    of the swap to the video. Identity similarities are cosines.

    Args:
        video: file of the video.
        source: photo of one face; None for the photo `astronaut` of models.pipelines.demo.
        file: weights of a family; None for those of the zoo.
        judge: embedder of the identity similarity, one of models.perception.build.EMBEDDERS.
        threads: number of threads of each network.
        device: torch device.

    Raises:
        ValueError: the video contains no face.
    """
    torch_threads, cv_threads = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    try:
        perception = build_perception('identity-mobilefacenet', None, PHOTO_PARSER).to(device)
        family = load_family(Path(file) if file else weights.path(SWAPPER), perception).to(device)
        swapper = FaceSwapper(family, perception, build_detector('mtcnn', device), device=device)
        photo = read_image(source) if source else demo_photo('astronaut')
        source_face, = choose(swapper.detector.detect(photo), LARGEST, 'source')
        tracker = Tracker(swapper.detector, swapper.embed)
        engine = VideoEngine(swapper.face_generator([(photo, source_face)]), swapper.size, tracker, color=True)
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder) / 'swapped.mp4'
            report = engine.convert(video, output)
            quality = _quality_figures(video, output, photo, source_face.points, judge, device)
    finally:
        torch.set_num_threads(torch_threads)
        cv2.setNumThreads(cv_threads)
    stages = {f'{name}, processor ms': 1000 * clock.cpu / report.frames for name, clock in report.stages.items()}
    busy = {f'{name}, % of the time': 100 * clock.busy / report.seconds for name, clock in report.stages.items()}
    return {'frames/s': report.frames / report.seconds, 'processor ms per frame': 1000 * report.cpu / report.frames, **stages,
            **busy, **quality}


@torch.no_grad()
def _quality_figures(video: Path, output: Path, photo: np.ndarray, landmarks: np.ndarray, judge: str,
                     device: str) -> dict[str, float]:
    """Flicker and identity similarity.

    Args:
        video, output: the video and its swap.
        photo: photo of the source (H,W,3) uint8.
        landmarks: landmarks of the source (5,2) in pixels.
    """
    embedder = load_embedder(judge).to(device)

    def embed(image: np.ndarray, points: np.ndarray) -> Tensor:
        return embedder(crop_face(image, points, 2 * _SIDE_PX).to(device))[0].cpu()

    detector, source_embedding, face, previous = build_detector(), embed(photo, landmarks), None, None
    changes, similarities = [], []
    for frame, swapped in zip(open_clip(video).frames(), Clip(output).frames()):
        height, width = frame.image.shape[:2]
        swapped = replace(swapped, image=swapped.image[:height, :width])  # odd sides are padded to even ones in the output
        face = detector.follow(frame.image, [face])[0] if face else None
        if face is None:
            face = next(iter(detector.detect(frame.image)), None)
        if face is not None:
            if previous is not None:
                hull_mask = _hull(face.points, frame.image.shape[:2])
                changes.append([float(np.abs(current.image.astype(np.float32) - last.image).mean(2)[hull_mask].mean())
                                for current, last in zip((frame, swapped), previous)])
            embedding = embed(swapped.image, face.points)
            similarities.append([float(embedding @ source_embedding), float(embedding @ embed(frame.image, face.points))])
        previous = frame, swapped
    if not changes:
        raise ValueError(f'{video} contains no face')
    (video_flicker, swap_flicker), (source, target) = np.mean(changes, 0), np.mean(similarities, 0)
    return {
        'flicker of the video': video_flicker,
        'flicker of the swap': swap_flicker,
        'flicker, ratio': swap_flicker / video_flicker,
        'identity similarity to the source': source,
        'minimum over frames': np.min(similarities, 0)[0],
        'identity similarity to the target': target,
    }


def _hull(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Mask of the hull of a face with landmarks (5,2) in an image of `shape`: (H,W) bool."""
    template = geometry.template('face').scaled(_SIDE_PX)
    matrix = geometry.align(torch.from_numpy(points), template).numpy().astype(np.float64)
    return cv2.warpAffine(hull(_SIDE_PX), matrix, shape[::-1], flags=cv2.WARP_INVERSE_MAP | cv2.INTER_NEAREST) > 0.5
