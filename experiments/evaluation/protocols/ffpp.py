"""FaceForensics++ (Roessler et al. 2019) in its official layout:

    original_sequences/youtube/{raw,c23,c40}/videos/NNN.mp4     1000 videos
    manipulated_sequences/METHOD/{raw,c23,c40}/videos/TTT_SSS.mp4   target, then source
    splits/{train,val,test}.json or {train,val,test}.json       lists of pairs, each used both ways
"""
from pathlib import Path

import cv2
import numpy as np

from configs.reading import parse_json, read_text
from datasets.faces import check_root
from datasets.preparation.photos import prepare
from models.pipelines.io.images import write_image

FRAMES = 10  # of each video, evenly spread, as FaceShifter takes them
_QUALITIES = ('raw', 'c23', 'c40')


def official_pairs(root: str | Path) -> list[tuple[str, str]]:
    """(target, source) numbers of videos: from the lists of the splits, both ways, or else from the names of manipulated videos.
    ValueError where neither is there."""
    root = check_root(root)
    lists = [path for part in ('train', 'val', 'test') for path in (root / 'splits' / f'{part}.json', root / f'{part}.json')
             if path.is_file()]
    if lists:
        pairs = [pair for path in lists for pair in parse_json(read_text(path), path)]
        if not all(isinstance(pair, list) and len(pair) == 2 and all(isinstance(name, str) for name in pair) for pair in pairs):
            raise ValueError(f'{lists[0]} and the lists beside it must hold pairs of video numbers, such as ["000", "003"]')
        return sorted({way for a, b in pairs for way in ((a, b), (b, a))})
    names = {path.stem for path in root.glob('manipulated_sequences/*/*/videos/*_*.mp4')}
    pairs = sorted(tuple(name.split('_')[:2]) for name in names)
    if not pairs:
        raise ValueError(f'{root} holds neither splits/test.json nor manipulated_sequences; give the root of FaceForensics++')
    return pairs


def video(root: str | Path, number: str) -> Path:
    """The original video in the best quality that is there; ValueError where it is missing."""
    for quality in _QUALITIES:
        path = Path(root) / 'original_sequences' / 'youtube' / quality / 'videos' / f'{number}.mp4'
        if path.is_file():
            return path
    raise ValueError(f'{root} lacks original_sequences/youtube/{{{",".join(_QUALITIES)}}}/videos/{number}.mp4')


def evenly_spread(path: Path, count: int = FRAMES) -> list[np.ndarray]:
    """`count` frames (H,W,3) uint8 RGB of a video, in order. ValueError where it cannot be read."""
    reader = cv2.VideoCapture(str(path))
    try:
        length, frames = int(reader.get(cv2.CAP_PROP_FRAME_COUNT)), []
        for place in np.linspace(0, max(0, length - 1), count).round().astype(int):
            reader.set(cv2.CAP_PROP_POS_FRAMES, int(place))
            found, frame = reader.read()
            if found:
                frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
    finally:
        reader.release()
    if not frames:
        raise ValueError(f'{path} cannot be read as a video; download it again')
    return frames


def frames_of(root: str | Path, numbers: list[str], folder: Path, *, count: int = FRAMES) -> dict[str, set[str]]:
    """Aligned faces of the videos in folder/NUMBER/PLACE.jpg, as the data set `folder` reads them; number -> file names. What is
    there already is kept; a frame without a face is left out."""
    raw = folder.with_name(f'{folder.name}-whole')
    for number in numbers:
        if not (raw / number).is_dir():
            for place, frame in enumerate(evenly_spread(video(root, number), count)):
                write_image(raw / number / f'{place:02d}.png', frame)
    prepare(raw, folder, layout='folder')
    return {number: {path.name for path in (folder / number).glob('*.jpg')} for number in numbers}
