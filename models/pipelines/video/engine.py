"""Face generation in videos and camera streams, by any function of aligned faces.

    tracker = Tracker(detector, embed, choice='largest')
    engine = VideoEngine(swapper.face_generator(sources), swapper.size, tracker)
    report = engine.convert(Path('clip.mp4'), Path('out.mp4'), generation_info=GenerationInfo.of(...))
    report = engine.live(Camera('0'), Window())

The function is a models.pipelines.photo.FaceGenerator, for example of a FaceTranslator:

    def generate_faces(faces):
        translations = translator.translate_crops(faces.crops)
        return translations, translator.masks(faces.crops, translations)

The engine smooths its faces and masks over time, softens the masks and pastes.
"""
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import torch
from torch import Tensor

from models import geometry
from models.pipelines import blend
from models.pipelines.io.provenance import GenerationInfo, check_signing
from models.pipelines.photo import AlignedFaces, FaceGenerator, crop_face
from models.pipelines.video.animation import Animation, open_clip
from models.pipelines.video.audio import AudioTracks
from models.pipelines.video.clip import Clip, Frame
from models.pipelines.video.mux import QUALITY, SegmentWriter, join_segments
from models.pipelines.video.segments import SegmentStore
from models.pipelines.video.smoothing import TemporalSmoothing
from models.pipelines.video.stages import ConversionReport, StageTimer, run_stages
from models.pipelines.video.tracking import DETECTION_INTERVAL, TrackedFace, Tracker
from models.storage.files import check_writable

CHUNKS_PER_SEGMENT = 8  # of up to DETECTION_INTERVAL frames each
MONOCHROME_TOLERANCE = 12  # levels of 255 by which channels of a gray frame may differ after chroma compression
_MAX_CHUNK_PX = 12_000_000  # pixels of the frames of a chunk; six chunks exist at a time and need about 550 MB


@dataclass
class _Chunk:
    """Frames that pass the stages together.

    Attributes:
        frames, times: the frames and their times in seconds.
        last: whether a segment ends with the chunk.
        tracked: the selected faces of each frame.
        crops: of all faces (N,3,S,S).
        generated, masks: results of the FaceGenerator.
        images: output frames.
        state: of the stages after the chunk, if a segment ends with it.
    """

    frames: list[Frame]
    times: list[float]
    last: bool = False
    tracked: list[list[TrackedFace]] = field(default_factory=list)
    crops: Tensor | None = None
    generated: Tensor | None = None
    masks: Tensor | None = None
    images: list[np.ndarray | av.VideoFrame] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)

    @property
    def faces(self) -> int:
        """Number of selected faces."""
        return sum(map(len, self.tracked))


class VideoEngine:
    """Replaces the faces of videos and camera streams.

    Args:
        generate_faces: generator of faces from aligned crops.
        size: side of its crops in pixels.
        tracker: selects the faces.
        color: match the colors of generated faces to the video.
        finish: applied to every output frame, (H,W,3) uint8 -> (H,W,3), such as a visible label.
        batch: maximum number of faces per call of `generate_faces`.
        quality: constant rate factor, see models.pipelines.video.mux.QUALITY.
    """

    def __init__(self, generate_faces: FaceGenerator, size: int, tracker: Tracker, *, color: bool = False,
                 finish: Callable[[np.ndarray], np.ndarray] | None = None, batch: int = DETECTION_INTERVAL,
                 quality: int = QUALITY):
        self.generate_faces, self.size, self.tracker = generate_faces, size, tracker
        self.color, self.finish, self.batch, self.quality = color, finish, batch, quality
        self.smoothing: dict[int, TemporalSmoothing] = {}  # by track

    def convert(self, video: Path, output: Path, *, generation_info: GenerationInfo | None = None,
                settings: dict[str, Any] | None = None,
                progress: Callable[[int, int | None], None] = lambda done, count: None,
                stop: Callable[[], bool] = lambda: False) -> ConversionReport:
        """Replace the faces of a video frame by frame and write an MP4 with its time stamps and audio.

        Finished segments are stored in OUTPUT.parts until all are done; a later call resumes after them.

        Args:
            video: file of a video or an animated image.
            output: the MP4.
            generation_info: for Content Credentials, or None.
            settings: what the segments depend on besides the video, JSON-serializable; segments of other settings raise an error.
            progress: called with the number of finished frames and of all frames, or None if unknown.
            stop: called after each chunk; True ends the call.

        Raises:
            ValueError: the video cannot be read, the stored segments belong to another video or other settings, or signing is
                impossible.
            WriteError: the output cannot be written.
        """
        if output.suffix.lower() != '.mp4':
            raise ValueError(f'{output} does not end in .mp4, the format of converted videos')
        clip = open_clip(video)
        check_writable(output)
        if generation_info is not None:
            check_signing()
        audio = AudioTracks(clip)
        store = SegmentStore(output, video, {**(settings or {}), 'quality': self.quality, 'size': self.size})
        report, start = ConversionReport(), (time.perf_counter(), time.process_time())
        report.resumed_frames = len(store.stamps)
        report.completed = self._convert(clip, store, report, progress, stop)
        if report.completed:
            join_segments(store.files, store.stamps, store.end, clip.format, output, audio=audio,
                          generation_info=generation_info)
            store.remove()
            report.notes += clip.notes + audio.notes
            missing = clip.missing_frames(len(store.stamps))
            if missing:
                report.notes.append(f'{video} is damaged: {missing} of its frames could not be decoded and are left out')
        report.seconds, report.cpu = time.perf_counter() - start[0], time.process_time() - start[1]
        return report

    def _convert(self, clip: Clip | Animation, store: SegmentStore, report: ConversionReport,
                 progress: Callable[[int, int | None], None], stop: Callable[[], bool]) -> bool:
        """Generate the missing segments; False if stopped. A folder without a finished segment is removed."""
        self._restore(store.state)
        progress(report.resumed_frames, clip.frame_count)
        chunks = run_stages(self._chunks(clip, store), self._stages(report), report.stages['decoding'])
        segment: SegmentWriter | None = None
        try:
            for chunk in chunks:
                with report.stages['encoding']:
                    segment = segment or store.begin(clip.format, self.quality)
                    for frame, image in zip(chunk.frames, chunk.images):
                        segment.write(frame.stamp, image, frame.duration)
                    if chunk.last:
                        store.finish(segment, chunk.state)
                        segment = None
                report.frames, report.faces = report.frames + len(chunk.frames), report.faces + chunk.faces
                progress(report.resumed_frames + report.frames, clip.frame_count)
                if stop():
                    return False
        finally:
            chunks.close()
            if segment is not None:
                segment.abandon()
            if not store.files:
                store.remove()
        return True

    def live(self, camera: Iterable[tuple[float, np.ndarray]], sink: Callable[[float, np.ndarray], bool]) -> ConversionReport:
        """Replace the faces of a camera stream.

        Args:
            camera: times in seconds and frames (H,W,3) uint8 RGB.
            sink: called with each time and output frame; returns whether to continue.
        """
        report, start = ConversionReport(), (time.perf_counter(), time.process_time())
        self._restore(None)
        source = (_Chunk([Frame(0, image)], [seconds]) for seconds, image in camera)
        chunks = run_stages(source, self._stages(report), report.stages['decoding'])
        try:
            for chunk in chunks:
                report.frames, report.faces = report.frames + 1, report.faces + chunk.faces
                with report.stages['encoding']:
                    proceed = sink(chunk.times[0], chunk.images[0])
                if not proceed:
                    break
        finally:
            chunks.close()
        report.seconds, report.cpu = time.perf_counter() - start[0], time.process_time() - start[1]
        return report

    def _stages(self, report: ConversionReport) -> list[tuple[Callable[[_Chunk], _Chunk], StageTimer]]:
        return [(self._track, report.stages['detection']), (self._generate, report.stages['generation']),
                (self._blend, report.stages['blending'])]

    def _restore(self, state: dict[str, Any] | None) -> None:
        """Continue from the state of a SegmentStore, or prepare for a new video."""
        self.tracker.reset()
        self.smoothing = {}
        if state is not None:
            self.tracker.restore(state['tracker'])
            for track, smoothing_state in state['smoothing'].items():
                self.smoothing[track] = TemporalSmoothing()
                self.smoothing[track].restore(smoothing_state)

    def _chunks(self, clip: Clip | Animation, store: SegmentStore) -> Iterator[_Chunk]:
        size = max(1, min(DETECTION_INTERVAL, _MAX_CHUNK_PX // (clip.format.width * clip.format.height)))
        frames = clip.frames(len(store.stamps), store.next_stamp)
        group, number = list(islice(frames, size)), 1
        while group:
            following = list(islice(frames, size))
            last = number % CHUNKS_PER_SEGMENT == 0 or not following
            next_stamp = following[0].stamp if following else None
            yield _Chunk(group, [float(frame.stamp * clip.format.time_base) for frame in group], last, state={'next': next_stamp})
            group, number = following, number + 1

    def _track(self, chunk: _Chunk) -> _Chunk:
        end = 'next' in chunk.state and chunk.state['next'] is None
        chunk.tracked = self.tracker.follow([frame.image for frame in chunk.frames], chunk.times, end)
        if chunk.last:
            chunk.state['tracker'] = self.tracker.state()
        return chunk

    @torch.no_grad()
    def _generate(self, chunk: _Chunk) -> _Chunk:
        if not chunk.faces:
            return chunk
        template = geometry.template('face').scaled(self.size)
        faces = [(frame, face) for frame, row in zip(chunk.frames, chunk.tracked) for face in row]
        points = torch.from_numpy(np.stack([face.points for _, face in faces]))
        crops = torch.cat([crop_face(frame.image, face.points, self.size) for frame, face in faces])
        points = geometry.apply(geometry.align(points, template), points)
        references = [face.reference_index for _, face in faces]
        batches = [slice(start, start + self.batch) for start in range(0, len(faces), self.batch)]
        results = [self.generate_faces(AlignedFaces(crops[batch], points[batch], references[batch])) for batch in batches]
        chunk.crops = crops
        chunk.generated, chunk.masks = (torch.cat(part).float().cpu() for part in zip(*results))
        return chunk

    def _blend(self, chunk: _Chunk) -> _Chunk:
        first = 0  # index of the frame's first face in the chunk
        for frame, row in zip(chunk.frames, chunk.tracked):
            output = None
            smoothing = {face.track: self.smoothing.get(face.track) or TemporalSmoothing() for face in row}
            if row and chunk.crops is not None and chunk.generated is not None and chunk.masks is not None:
                monochrome = blend.is_monochrome(frame.image[::2, ::2], MONOCHROME_TOLERANCE)
                faces = {face.track: self._smooth(smoothing[face.track], chunk.crops[index], chunk.generated[index],
                                                  chunk.masks[index], monochrome) for index, face in enumerate(row, first)}
                output, coverage = frame.image.copy(), np.zeros(frame.image.shape[:2], np.float32)
                for face in reversed(row):  # the largest, which is nearest, last
                    blend.paste(output, *faces[face.track], face.points, coverage)
                first += len(row)
            if self.finish is not None:
                output = self.finish(frame.image if output is None else output)
            unchanged = frame.image if frame.decoded is None else frame.decoded
            chunk.images.append(unchanged if output is None else output)
            self.smoothing = smoothing
        if chunk.last:
            chunk.state['smoothing'] = {track: item.state() for track, item in self.smoothing.items()}
        chunk.crops = chunk.generated = chunk.masks = None
        return chunk

    def _smooth(self, smoothing: TemporalSmoothing, crop: Tensor, generated: Tensor, mask: Tensor,
                monochrome: bool) -> tuple[Tensor, Tensor]:
        """Smooth a generated face over time.

        Args:
            smoothing: of the track.
            crop, generated: input and generated face (3,S,S) in [-1,1].
            mask: hard mask (1,M,M).
            monochrome: convert the face to gray.

        Returns:
            The face (3,S,S) in [-1,1] and its soft mask (1,M,M).
        """
        face = crop.permute(1, 2, 0).numpy()
        output = smoothing.smooth_face(face, generated.clamp(-1, 1).permute(1, 2, 0).numpy())
        soft = blend.soften(torch.from_numpy(smoothing.smooth_mask(mask[0].numpy()))[None, None])[0]
        if self.color:
            alpha = cv2.resize(soft[0].numpy(), output.shape[1::-1], interpolation=cv2.INTER_AREA)
            face, output = (face + 1) / 2, (output + 1) / 2
            transfer = smoothing.smooth_color_transfer(blend.color_transfer(output, face, alpha))
            output = blend.apply_color_transfer(output, transfer) * 2 - 1
        if monochrome:
            output = blend.to_gray(output)
        return torch.from_numpy(output).permute(2, 0, 1), soft
