"""Animated GIF, WebP and PNG as videos."""
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from models.image_io import ImageError, open_image
from models.pipelines.video.clip import BT709, IMAGE_FORMATS, Clip, Frame, VideoFormat, check_size, is_animated

_SHORTEST_MS, _DEFAULT_MS = 10, 100  # browsers show frames of at most 10 ms, such as those without a duration, for 100 ms
_LONGEST_MS = 3_600_000
_WHITE = (255, 255, 255, 255)


class Animation:
    """An animated image, with the attributes and methods of Clip. It plays once; transparent pixels become white."""

    sound, origin, exact = False, Fraction(0), True

    def __init__(self, path: str | Path):
        self.path, self.broken, self.notes, self.frame_count = Path(path), 0, [], 0
        with open_image(path, formats=IMAGE_FORMATS) as pil_image:
            check_size(path, *pil_image.size)
            self.hidden = int(getattr(pil_image, 'default_image', False))  # a PNG's image for programs that show no animation
            self.size, count = pil_image.size, pil_image.n_frames - self.hidden
        self.format = VideoFormat(*self.size, Fraction(25), Fraction(1, 1000), colors=BT709)
        first = next(self.frames(), None)
        if first is None:
            raise ValueError(f'{path} shows no image that can be decoded; it may be damaged, export it again')
        self.frame_count = count
        self.format = VideoFormat(*self.size, Fraction(1000, first.duration), self.format.time_base, colors=BT709)

    def frames(self, skip: int = 0, seek: int | None = None) -> Iterator[Frame]:
        """Every frame from number `skip` on; `seek` is not needed."""
        time, number = 0.0, 0  # ms
        try:
            with open_image(self.path, formats=IMAGE_FORMATS) as pil_image:
                while True:
                    try:
                        pil_image.seek(self.hidden + number)
                    except EOFError:  # after the last image
                        break
                    pil_image.load()  # WebP knows the duration only afterwards
                    shown = float(pil_image.info.get('duration') or 0)
                    shown = shown if _SHORTEST_MS < shown < _LONGEST_MS else _DEFAULT_MS
                    start, time = round(time), time + shown
                    if number >= skip:
                        image = Image.alpha_composite(Image.new('RGBA', self.size, _WHITE), pil_image.convert('RGBA'))
                        yield Frame(start, np.array(image.convert('RGB')), None, round(time) - start)
                    number += 1
            self.broken = max(0, self.frame_count - number)
        except ImageError:
            self.broken = max(1, self.frame_count - number)

    def missing(self, frames: int) -> int:
        """How many images could not be decoded, when `frames` were."""
        return max(0, self.frame_count - frames)


def open_clip(path: str | Path) -> Clip | Animation:
    """The video of a file; ValueError, one sentence, where it is none or broken."""
    return Animation(path) if is_animated(path) else Clip(path)
