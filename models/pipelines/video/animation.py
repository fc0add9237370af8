"""Animated GIF, WebP and PNG as videos."""
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from models.image_io import ImageError, open_image
from models.pipelines.video.clip import ANIMATION_FORMATS, BT709, Clip, Frame, VideoFormat, check_size, is_animated

_SHORT_MS, _DEFAULT_MS = 10, 100  # browsers show frames of at most 10 ms, or without a duration, for 100 ms
_MAX_MS = 3_600_000  # duration of a frame; longer ones are replaced by _DEFAULT_MS
_WHITE_RGBA = (255, 255, 255, 255)
_TIME_BASE = Fraction(1, 1000)


class Animation:
    """An animated image with the interface of Clip, without repetitions; transparent pixels become white.

    Raises ValueError if it has no image that can be decoded.
    """

    has_audio, origin, exact = False, Fraction(0), True

    def __init__(self, path: str | Path):
        self.path, self.corrupt = Path(path), 0
        self.notes: list[str] = []
        self.frame_count = 0
        with open_image(path, formats=ANIMATION_FORMATS) as pil_image:
            check_size(path, *pil_image.size)
            self._skipped = int(getattr(pil_image, 'default_image', False))  # an APNG's image for programs without animation
            self.size, frame_count = pil_image.size, getattr(pil_image, 'n_frames', 1) - self._skipped
        first = next(self.frames(), None)
        if first is None:
            raise ValueError(f'{path} shows no image that can be decoded; it may be damaged, export it again')
        self.frame_count = frame_count
        self.format = VideoFormat(*self.size, Fraction(1000, first.duration), _TIME_BASE, colors=BT709)

    def frames(self, skip: int = 0, seek: int | None = None) -> Iterator[Frame]:
        """All frames from number `skip` on; `seek` is not used."""
        time, number = 0.0, 0  # time in ms
        try:
            with open_image(self.path, formats=ANIMATION_FORMATS) as pil_image:
                while True:
                    try:
                        pil_image.seek(self._skipped + number)
                    except EOFError:  # after the last image
                        break
                    pil_image.load()  # for WebP sets the duration
                    duration = float(pil_image.info.get('duration') or 0)
                    duration = duration if _SHORT_MS < duration < _MAX_MS else _DEFAULT_MS
                    start, time = round(time), time + duration
                    if number >= skip:
                        image = Image.alpha_composite(Image.new('RGBA', self.size, _WHITE_RGBA), pil_image.convert('RGBA'))
                        yield Frame(start, np.array(image.convert('RGB')), None, round(time) - start)
                    number += 1
            self.corrupt = max(0, self.frame_count - number)
        except ImageError:
            self.corrupt = max(1, self.frame_count - number)

    def missing_frames(self, decoded: int) -> int:
        """Number of frames that could not be decoded, given the number of the others."""
        return max(0, self.frame_count - decoded)


def open_clip(path: str | Path) -> Clip | Animation:
    """Open a video or an animated image. Raises ValueError if it is neither, or damaged."""
    return Animation(path) if is_animated(path) else Clip(path)
