"""Videos and cameras: faces are followed, made anew by any function of aligned faces, and put back into every frame.

    tracker = Tracker(detector, embed, choice='largest')
    engine = VideoEngine(make, size, tracker)
    report = engine.convert(Path('clip.mp4'), Path('out.mp4'), generation_info=GenerationInfo.of(...))
    report = engine.live(Camera('0'), Window())

`make` is all that the engine knows of a model. It gets Faces and returns made faces (B,3,S,S) in [-1,1] in the template `face`
and masks (B,1,M,M) in [0,1] of where they are to show, hard: the engine steadies both over time, softens the masks and pastes.
A translator is such a function:

    def make(faces):
        made = translator.translate_crops(faces.crops)
        return made, translator.masks(faces.crops, made)
"""
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from models import geometry
from models.pipelines import blend
from models.pipelines.io.provenance import GenerationInfo, check_signing
from models.pipelines.photo import crop_face
from models.pipelines.video.animation import Animation, open_clip
from models.pipelines.video.clip import Clip, Frame
from models.pipelines.video.color import gray, is_gray
from models.pipelines.video.mux import QUALITY, Sound, join
from models.pipelines.video.segments import Parts
from models.pipelines.video.smoothing import TemporalSmoothing
from models.pipelines.video.stages import StageTimer, flow
from models.pipelines.video.tracking import EVERY, Seen, Tracker
from models.storage.files import check_writable

SEGMENT = 8  # chunks of frames from one resumable piece of a video to the next
_ROOM = 12_000_000  # pixels of the frames of one chunk, of which six exist at a time: some 550 MB with all that belongs to them
_STAGES = ('decoding', 'detection', 'generation', 'blending', 'encoding')


@dataclass(frozen=True)
class Faces:
    """Aligned faces of some frames, in their order. crops (B,3,S,S) in [-1,1] in the template `face`; points (B,5,2), their
    landmarks in pixels of the crops; roles, for each the number of its reference of Tracker, 0 where there are none."""

    crops: Tensor
    points: Tensor
    roles: list[int]


Make = Callable[[Faces], tuple[Tensor, Tensor]]


@dataclass
class ConversionReport:
    """What came of it. frames, and faces in them, that were made now; kept, frames of an earlier run; seconds; cpu, of the whole
    process; stages; done: False where it was interrupted; notes, sentences that the user should read."""

    frames: int = 0
    faces: int = 0
    resumed_frames: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    completed: bool = True
    notes: list[str] = field(default_factory=list)
    stages: dict[str, StageTimer] = field(default_factory=lambda: {name: StageTimer() for name in _STAGES})

    def summary(self) -> str:
        """Speed, and which stage limits it."""
        if not self.frames:
            return 'no frame was made'
        name, clock = max(self.stages.items(), key=lambda item: item[1].busy)
        parts = ', '.join(f'{stage} {1000 * one.cpu / self.frames:.1f}' for stage, one in self.stages.items())
        speed = f'{self.frames} frames with {self.faces} faces in {self.seconds:.1f} s: {self.frames / self.seconds:.1f} frames/s'
        return (f'{speed}; {name} limits, at work {100 * clock.busy / self.seconds:.0f} % of the time; processor per frame '
                f'{1000 * self.cpu / self.frames:.0f} ms, of which {parts}')


@dataclass
class _Chunk:
    """Frames that go through the stages together; state, of the stages after it, where a piece of the video ends with it."""

    frames: list[Frame]
    times: list[float]
    last: bool = False
    seen: list[list[Seen]] = field(default_factory=list)
    crops: Tensor | None = None  # of all faces, as filmed
    made: Tensor | None = None
    masks: Tensor | None = None
    images: list = field(default_factory=list)
    state: dict = field(default_factory=dict)

    @property
    def faces(self) -> int:
        return sum(map(len, self.seen))


class VideoEngine:
    """make as above, with `size` the side in pixels of the crops that it wants; color: bring what was made into the tones of the
    video; finish: (H,W,3) -> (H,W,3), done to every frame, such as a visible mark; batch: faces at a time; quality as of Piece.
    """

    def __init__(self, make: Make, size: int, tracker: Tracker, *, color: bool = False,
                 finish: Callable[[np.ndarray], np.ndarray] | None = None, batch: int = EVERY, quality: int = QUALITY):
        self.make, self.size, self.tracker = make, size, tracker
        self.color, self.finish, self.batch, self.quality = color, finish, batch, quality
        self.steady: dict[int, TemporalSmoothing] = {}

    def convert(self, video: Path, output: Path, *, generation_info: GenerationInfo | None = None, settings: dict | None = None,
                progress: Callable[[int, int | None], None] = lambda done, count: None,
                stop: Callable[[], bool] = lambda: False) -> ConversionReport:
        """Make the faces of a video anew, frame by frame, with its time stamps and its sound, as an MP4.

        Pieces that are finished lie in the folder OUTPUT.parts until all are; called again, it goes on after them. settings: what
        the pieces depend on besides the video, so that those of another job are not taken. progress: called with the number of
        frames that are done and of all, where it is known; stop: asked after each chunk whether to leave off. ValueError, one
        sentence, where the video is none or broken, its parts are those of another job or it cannot be signed; WriteError where
        the output cannot be written.
        """
        if output.suffix.lower() != '.mp4':
            raise ValueError(f'{output} does not end in .mp4, which is what videos are written as')
        clip = open_clip(video)
        check_writable(output)
        if generation_info is not None:
            check_signing()
        sound = Sound(clip)
        parts = Parts(output, video, {**(settings or {}), 'quality': self.quality, 'size': self.size})
        report, began = ConversionReport(), (time.perf_counter(), time.process_time())
        report.resumed_frames = len(parts.stamps)
        report.completed = self._convert(clip, parts, report, progress, stop)
        if report.completed:
            join(parts.files, parts.stamps, parts.end, clip.format, output, sound=sound, generation_info=generation_info)
            parts.remove()
            report.notes += clip.notes + sound.notes
            missing = clip.missing(len(parts.stamps))
            if missing:
                report.notes.append(f'{video} is damaged: {missing} of its frames could not be decoded and are left out')
        report.seconds, report.cpu = time.perf_counter() - began[0], time.process_time() - began[1]
        return report

    def _convert(self, clip: Clip | Animation, parts: Parts, report: ConversionReport, progress: Callable,
                 stop: Callable) -> bool:
        """Make the pieces that are not there yet; False where that was stopped. No folder stays that holds no finished piece."""
        self._restore(parts.state)
        progress(report.resumed_frames, clip.frame_count)
        line = flow(self._chunks(clip, parts), self._works(report), report.stages['decoding'])
        piece = None
        try:
            for chunk in line:
                with report.stages['encoding']:
                    piece = piece or parts.begin(clip.format, self.quality)
                    for frame, image in zip(chunk.frames, chunk.images):
                        piece.write(frame.stamp, image, frame.duration)
                    if chunk.last:
                        parts.finish(piece, chunk.state)
                        piece = None
                report.frames, report.faces = report.frames + len(chunk.frames), report.faces + chunk.faces
                progress(report.resumed_frames + report.frames, clip.frame_count)
                if stop():
                    return False
        finally:
            line.close()
            if piece is not None:
                piece.abandon()
            if not parts.files:
                parts.remove()
        return True

    def live(self, camera: Iterable[tuple[float, np.ndarray]], show: Callable[[float, np.ndarray], bool]) -> ConversionReport:
        """Make the faces that a camera sees anew. camera: seconds and frames (H,W,3) uint8 RGB; show: gets the same when the
        faces are made, and says whether to go on."""
        report, began = ConversionReport(), (time.perf_counter(), time.process_time())
        self._restore(None)
        chunks = (_Chunk([Frame(0, image)], [seconds]) for seconds, image in camera)
        line = flow(chunks, self._works(report), report.stages['decoding'])
        try:
            for chunk in line:
                report.frames, report.faces = report.frames + 1, report.faces + chunk.faces
                with report.stages['encoding']:
                    image = chunk.images[0]
                    more = show(chunk.times[0], image)
                if not more:
                    break
        finally:
            line.close()
        report.seconds, report.cpu = time.perf_counter() - began[0], time.process_time() - began[1]
        return report

    def _works(self, report: ConversionReport) -> list[tuple[Callable, StageTimer]]:
        return [(work, report.stages[name])
                for work, name in ((self._track, 'detection'), (self._generate, 'generation'), (self._blend, 'blending'))]

    def _restore(self, state: dict | None) -> None:
        self.tracker.reset()
        self.steady = {}
        if state is not None:
            self.tracker.restore(state['tracker'])
            for number, kept in state['steady'].items():
                self.steady[number] = TemporalSmoothing()
                self.steady[number].restore(kept)

    def _chunks(self, clip: Clip | Animation, parts: Parts) -> Iterator[_Chunk]:
        size = max(1, min(EVERY, _ROOM // (clip.format.width * clip.format.height)))
        frames = clip.frames(len(parts.stamps), parts.next)
        group, number = list(islice(frames, size)), 1
        while group:
            after = list(islice(frames, size))
            last = number % SEGMENT == 0 or not after
            stamp = after[0].stamp if after else None
            yield _Chunk(group, [float(frame.stamp * clip.format.time_base) for frame in group], last, state={'next': stamp})
            group, number = after, number + 1

    def _track(self, chunk: _Chunk) -> _Chunk:
        end = 'next' in chunk.state and chunk.state['next'] is None
        chunk.seen = self.tracker.follow([frame.image for frame in chunk.frames], chunk.times, end)
        if chunk.last:
            chunk.state['tracker'] = self.tracker.state()
        return chunk

    @torch.no_grad()
    def _generate(self, chunk: _Chunk) -> _Chunk:
        if not chunk.faces:
            return chunk
        own = geometry.template('face').scaled(self.size)
        points = torch.from_numpy(np.stack([seen.points for row in chunk.seen for seen in row]))
        chunk.crops = torch.cat([crop_face(frame.image, seen.points, self.size)
                                 for frame, row in zip(chunk.frames, chunk.seen) for seen in row])
        points = geometry.apply(geometry.align(points, own), points)
        roles = [seen.role for row in chunk.seen for seen in row]
        made = [self.make(Faces(chunk.crops[at:at + self.batch], points[at:at + self.batch], roles[at:at + self.batch]))
                for at in range(0, len(roles), self.batch)]
        chunk.made, chunk.masks = (torch.cat(part).float().cpu() for part in zip(*made))
        return chunk

    def _blend(self, chunk: _Chunk) -> _Chunk:
        at = 0
        for frame, row in zip(chunk.frames, chunk.seen):
            image = frame.plain if frame.plain is not None else frame.image
            steady = {seen.track: self.steady.get(seen.track) or TemporalSmoothing() for seen in row}
            if row:
                toneless = is_gray(frame.image)
                faces = {seen.track: self._steadied(steady[seen.track], chunk.crops[index], chunk.made[index], chunk.masks[index],
                                                    toneless) for index, seen in enumerate(row, at)}
                image, cover = frame.image.copy(), np.zeros(frame.image.shape[:2], np.float32)
                for seen in reversed(row):  # the largest, which is nearest, last
                    blend.paste(image, *faces[seen.track], seen.points, cover)
                at += len(row)
            if self.finish is not None:
                image = self.finish(frame.image if image is frame.plain else image)
            chunk.images.append(image)
            self.steady = steady
        if chunk.last:
            chunk.state['steady'] = {number: one.state() for number, one in self.steady.items()}
        chunk.crops = chunk.made = chunk.masks = None
        return chunk

    def _steadied(self, steady: TemporalSmoothing, filmed: Tensor, made: Tensor, mask: Tensor,
                  toneless: bool) -> tuple[Tensor, Tensor]:
        """Of one face: what is pasted, and its soft mask. toneless: whether the frame shows no color, so that the face has none
        either."""
        filmed, made = filmed.permute(1, 2, 0).numpy(), made.clamp(-1, 1).permute(1, 2, 0).numpy()
        made = steady.face(filmed, made)
        soft = blend.soften(torch.from_numpy(steady.outline(mask[0].numpy()))[None, None])[0]
        if self.color:
            share = cv2.resize(soft[0].numpy(), made.shape[1::-1], interpolation=cv2.INTER_AREA)
            filmed, made = (filmed + 1) / 2, (made + 1) / 2
            made = blend.toned(made, steady.tones(blend.tones(made, filmed, share))) * 2 - 1
        if toneless:
            made = gray(made)
        return torch.from_numpy(made).permute(2, 0, 1), soft
