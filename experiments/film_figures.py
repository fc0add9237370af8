"""What swapping a film costs and how it looks: speed by stage, flicker, identity of every frame."""
import tempfile
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from models import geometry, weights
from models.perception.bundle import build_perception, load_embedder
from models.perception.detection import build_detector
from models.pipelines import blend
from models.pipelines.clip import Clip
from models.pipelines.demo import demo_photo
from models.pipelines.images import read_picture
from models.pipelines.photo import LARGEST, FaceSwapper, choose, crop_face
from models.pipelines.tracking import Tracker
from models.pipelines.video import VideoEngine
from models.registry import SWAPPER, load_family

_SIDE = 128  # pixels of the hull of a face; half of what a judge is given


def film_figures(film: Path, source: Path | None, *, file: str | None, judge: str, threads: int, device: str) -> dict[str, float]:
    """Swap a film and measure it. source: a photo of one face (the astronaut of the demonstration); file: weights (those of
    the zoo); judge: of EMBEDDERS.

    Flicker is the mean absolute difference of a frame to the next inside the hull of the filmed face, of the swap over that of
    the film; nothing is warped. Identities are cosines by the judge. ValueError where the film shows no face.
    """
    before, cv_before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    try:
        perception = build_perception('identity-mobilefacenet', None, 'parsing-unet').to(device)
        family = load_family(Path(file) if file else weights.path(SWAPPER), perception).to(device)
        swapper = FaceSwapper(family, perception, build_detector('mtcnn', device), device=device)
        photo = read_picture(source) if source else demo_photo('astronaut')
        giver, = choose(swapper.detector.detect(photo), LARGEST, 'source')
        engine = VideoEngine(swapper.maker([(photo, giver)]), swapper.size, Tracker(swapper.detector, swapper.embed), colour=True)
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder) / 'swapped.mp4'
            report = engine.convert(film, output)
            looks = _looks(film, output, photo, giver.points, judge, device)
    finally:
        torch.set_num_threads(before)
        cv2.setNumThreads(cv_before)
    stages = {f'{name}, processor ms': 1000 * clock.cpu / report.frames for name, clock in report.stages.items()}
    busy = {f'{name}, % of the time': 100 * clock.busy / report.seconds for name, clock in report.stages.items()}
    return {'frames/s': report.frames / report.seconds, 'processor ms per frame': 1000 * report.cpu / report.frames, **stages,
            **busy, **looks}


@torch.no_grad()
def _looks(film: Path, output: Path, photo: np.ndarray, points: np.ndarray, judge: str, device: str) -> dict[str, float]:
    embedder = load_embedder(judge).to(device)

    def identity(picture: np.ndarray, five: np.ndarray) -> Tensor:
        return embedder(crop_face(picture, five, 2 * _SIDE).to(device))[0].cpu()  # in the template `face`, as the judge expects

    detector, wanted, face, last = build_detector(), identity(photo, points), None, None
    changes, likeness = [], []
    for filmed, made in zip(Clip(film).frames(), Clip(output).frames()):
        face = detector.follow(filmed.picture, [face])[0] if face else None
        if face is None:
            face = next(iter(detector.detect(filmed.picture)), None)
        if face is not None:
            if last is not None:
                hull = _hull(face.points, filmed.picture.shape[:2])
                changes.append([float(np.abs(now.picture.astype(np.float32) - then.picture).mean(2)[hull].mean())
                                for now, then in zip((filmed, made), last)])
            own = identity(made.picture, face.points)
            likeness.append([float(own @ wanted), float(own @ identity(filmed.picture, face.points))])
        last = filmed, made
    if not changes:
        raise ValueError(f'{film} shows no face')
    (filmed, made), (source, target) = np.mean(changes, 0), np.mean(likeness, 0)
    return {'flicker of the film': filmed, 'flicker of the swap': made, 'flicker, ratio': made / filmed,
            'likeness to the source': source, 'least of a frame': np.min(likeness, 0)[0], 'likeness to the filmed': target}


def _hull(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(H,W) bool."""
    own = geometry.template('face').scaled(_SIDE)
    matrix = geometry.align(torch.from_numpy(points), own).numpy().astype(np.float64)
    return cv2.warpAffine(blend.hull(_SIDE), matrix, shape[::-1], flags=cv2.WARP_INVERSE_MAP | cv2.INTER_NEAREST) > 0.5
