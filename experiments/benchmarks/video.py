"""What swapping a video costs and how it looks: speed by stage, flicker, identity of every frame."""
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

_SIDE = 128  # pixels of the hull of a face; half of what a judge is given


def video_figures(
    video: Path, source: Path | None, *, file: str | None, judge: str, threads: int, device: str
) -> dict[str, float]:
    """Swap a video and measure it. source: a photo of one face (the astronaut of the demonstration); file: weights (those of
    the zoo); judge: of EMBEDDERS.

    Flicker is the mean absolute difference of a frame to the next inside the hull of the filmed face, of the swap over that of
    the video; nothing is warped. Identities are cosines by the judge. ValueError where the video shows no face.
    """
    before, cv_before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    try:
        perception = build_perception('identity-mobilefacenet', None, PHOTO_PARSER).to(device)
        family = load_family(Path(file) if file else weights.path(SWAPPER), perception).to(device)
        swapper = FaceSwapper(family, perception, build_detector('mtcnn', device), device=device)
        photo = read_image(source) if source else demo_photo('astronaut')
        giver, = choose(swapper.detector.detect(photo), LARGEST, 'source')
        engine = VideoEngine(swapper.maker([(photo, giver)]), swapper.size, Tracker(swapper.detector, swapper.embed), color=True)
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder) / 'swapped.mp4'
            report = engine.convert(video, output)
            looks = _looks(video, output, photo, giver.points, judge, device)
    finally:
        torch.set_num_threads(before)
        cv2.setNumThreads(cv_before)
    stages = {f'{name}, processor ms': 1000 * clock.cpu / report.frames for name, clock in report.stages.items()}
    busy = {f'{name}, % of the time': 100 * clock.busy / report.seconds for name, clock in report.stages.items()}
    return {'frames/s': report.frames / report.seconds, 'processor ms per frame': 1000 * report.cpu / report.frames, **stages,
            **busy, **looks}


@torch.no_grad()
def _looks(video: Path, output: Path, photo: np.ndarray, points: np.ndarray, judge: str, device: str) -> dict[str, float]:
    embedder = load_embedder(judge).to(device)

    def identity(image: np.ndarray, five: np.ndarray) -> Tensor:
        return embedder(crop_face(image, five, 2 * _SIDE).to(device))[0].cpu()  # in the template `face`, as the judge expects

    detector, wanted, face, last = build_detector(), identity(photo, points), None, None
    changes, id_similarity = [], []
    for filmed, made in zip(open_clip(video).frames(), Clip(output).frames()):
        height, width = filmed.image.shape[:2]
        made = replace(made, image=made.image[:height, :width])  # odd sides were made even
        face = detector.follow(filmed.image, [face])[0] if face else None
        if face is None:
            face = next(iter(detector.detect(filmed.image)), None)
        if face is not None:
            if last is not None:
                hull = _hull(face.points, filmed.image.shape[:2])
                changes.append([float(np.abs(now.image.astype(np.float32) - then.image).mean(2)[hull].mean())
                                for now, then in zip((filmed, made), last)])
            own = identity(made.image, face.points)
            id_similarity.append([float(own @ wanted), float(own @ identity(filmed.image, face.points))])
        last = filmed, made
    if not changes:
        raise ValueError(f'{video} shows no face')
    (filmed, made), (source, target) = np.mean(changes, 0), np.mean(id_similarity, 0)
    return {
        'flicker of the video': filmed,
        'flicker of the swap': made,
        'flicker, ratio': made / filmed,
        'identity similarity to the source': source,
        'least of a frame': np.min(id_similarity, 0)[0],
        'identity similarity to the filmed': target,
    }


def _hull(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(H,W) bool."""
    own = geometry.template('face').scaled(_SIDE)
    matrix = geometry.align(torch.from_numpy(points), own).numpy().astype(np.float64)
    return cv2.warpAffine(hull(_SIDE), matrix, shape[::-1], flags=cv2.WARP_INVERSE_MAP | cv2.INTER_NEAREST) > 0.5
