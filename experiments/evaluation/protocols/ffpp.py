"""FaceForensics++ (Roessler et al. 2019) in its official layout:

    original_sequences/youtube/{raw,c23,c40}/videos/NNN.mp4     1000 videos
    manipulated_sequences/METHOD/{raw,c23,c40}/videos/TTT_SSS.mp4   target, then source
    splits/{train,val,test}.json or {train,val,test}.json       lists of pairs, each used in both directions
"""
from pathlib import Path

import cv2
import numpy as np

from configs.reading import parse_json, read_text
from datasets.faces import check_root
from datasets.preparation.photos import prepare
from models.pipelines.io.images import write_image

FRAMES_PER_VIDEO = 10  # evenly spaced (FaceShifter, Li et al. 2020, section 4)
_QUALITIES = ('raw', 'c23', 'c40')  # compression levels in decreasing quality


def official_pairs(root: str | Path) -> list[tuple[str, str]]:
    """Sorted (target, source) numbers of videos: the pairs of the split lists in both directions, or without lists the pairs in
    the names of manipulated videos. Raises ValueError where there are neither."""
    root = check_root(root)
    lists = [path for part in ('train', 'val', 'test') for path in (root / 'splits' / f'{part}.json', root / f'{part}.json')
             if path.is_file()]
    if lists:
        pairs = [pair for path in lists for pair in parse_json(read_text(path), path)]
        if not all(isinstance(pair, list) and len(pair) == 2 and all(isinstance(name, str) for name in pair) for pair in pairs):
            raise ValueError(f'{lists[0]} and the other lists must hold pairs of video numbers, such as ["000", "003"]')
        return sorted({direction for a, b in pairs for direction in ((a, b), (b, a))})
    names = sorted(path.stem.split('_') for path in root.glob('manipulated_sequences/*/*/videos/*_*.mp4'))
    if not names:
        raise ValueError(f'{root} holds neither splits/test.json nor manipulated_sequences; give the root of FaceForensics++')
    return sorted({(name[0], name[1]) for name in names})


def video(root: str | Path, number: str) -> Path:
    """The original video in the best available quality. Raises ValueError where it is missing."""
    for quality in _QUALITIES:
        path = Path(root) / 'original_sequences' / 'youtube' / quality / 'videos' / f'{number}.mp4'
        if path.is_file():
            return path
    raise ValueError(f'{root} lacks original_sequences/youtube/{{{",".join(_QUALITIES)}}}/videos/{number}.mp4')


def sample_frames(path: Path, count: int = FRAMES_PER_VIDEO) -> list[np.ndarray]:
    """`count` evenly spaced frames (H,W,3) uint8 RGB of a video. Raises ValueError where none can be read."""
    reader = cv2.VideoCapture(str(path))
    try:
        length, frames = int(reader.get(cv2.CAP_PROP_FRAME_COUNT)), []
        for index in np.linspace(0, max(0, length - 1), count).round().astype(int):
            reader.set(cv2.CAP_PROP_POS_FRAMES, int(index))
            success, frame = reader.read()
            if success:
                frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
    finally:
        reader.release()
    if not frames:
        raise ValueError(f'{path} cannot be read as a video; download it again')
    return frames


def extract_faces(root: str | Path, numbers: list[str], folder: Path, *,
                  count: int = FRAMES_PER_VIDEO) -> dict[str, set[str]]:
    """Write the aligned faces of videos as folder/NUMBER/INDEX.jpg, the layout of the data set `folder`.

    Existing files are kept; frames without a face are left out. Returns number -> file names.
    """
    whole_frames = folder.with_name(f'{folder.name}-whole')
    for number in numbers:
        if not (whole_frames / number).is_dir():
            for index, frame in enumerate(sample_frames(video(root, number), count)):
                write_image(whole_frames / number / f'{index:02d}.png', frame)
    prepare(whole_frames, folder, layout='folder')
    return {number: {path.name for path in (folder / number).glob('*.jpg')} for number in numbers}
