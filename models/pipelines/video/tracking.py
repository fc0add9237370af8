"""Face tracking in videos: periodic detection, following in between, smoothing, and re-identification of returning faces."""
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from models.perception.detection import Detector, Face
from models.perception.detection.face import MIN_IOU, overlaps, paired
from models.pipelines.photo import ALL, LARGEST, MIN_ID_SIMILARITY
from models.pipelines.video.smoothing import OneEuroFilter

DETECTION_INTERVAL = 12  # frames from one detection to the next
ROTATED_INTERVAL = 4  # detections without a face from one that searches quarter turns to the next
DETECTION_LONGEST_PX = 640  # larger frames are reduced to this for detection
_OVERLAP_BONUS = 0.25  # added to the identity similarity, times the overlap with the last box of the identity
_MAX_EMBEDDINGS = 32  # of an identity, of which the mean is used
_MAX_MISSES = 2  # successive detections without a face after which its track ends
_DUPLICATE_OVERLAP = 0.7  # of the boxes of two tracks on one face
_THUMBNAIL_SIZE_PX = (32, 18)  # width, height
_MIN_CUT_CHANGE = 0.1  # change of the thumbnail, in [0,1], at a cut
_MIN_CUT_RATIO = 4.0  # of the change at a cut to the mean change


@dataclass(frozen=True)
class TrackedFace:
    """A face in a frame.

    Attributes:
        points: smoothed landmarks (5,2) in pixels of the frame.
        track: number of the track.
        reference_index: of the reference that the face matches; 0 without references.
    """

    points: np.ndarray
    track: int
    reference_index: int


@dataclass
class _Identity:
    """embedding_sum: (D,), of `count` embeddings. box: the last one (4,) in the current shot, or None."""

    embedding_sum: np.ndarray
    count: int
    box: np.ndarray | None = None


@dataclass
class _Track:
    """identity: index of an _Identity, -1 before identification. misses: successive detections without it. time: of the last
    frame in seconds."""

    face: Face
    identity: int = -1
    misses: int = 0
    time: float = 0.0
    filter: OneEuroFilter = field(default_factory=OneEuroFilter)


class Tracker:
    """Tracks faces through the chunks of a video.

    Args:
        detector: of faces.
        embed: frame (H,W,3) and N faces -> identity embeddings (N,D), unit length. None to identify faces by position alone.
        choice: as models.pipelines.photo.choose, without None. LARGEST and a number refer to the sizes in the first frame with
            so many faces, and select that identity for the whole video.
        references: embeddings (R,D) of the identities to select instead of `choice`.
        detection_interval: frames from one detection to the next.

    Raises:
        ValueError: invalid choice.
    """

    def __init__(self, detector: Detector, embed: Callable[[np.ndarray, list[Face]], Tensor] | None = None, *,
                 choice: str | int = LARGEST, references: Tensor | None = None, detection_interval: int = DETECTION_INTERVAL):
        if choice not in (ALL, LARGEST) and not str(choice).isdecimal():
            raise ValueError(f'{choice!r} is no choice of faces; give largest, all, or a number by size from 0')
        self.detector, self.embed, self.detection_interval = detector, embed, detection_interval
        self.rank = None if choice == ALL or references is not None else 0 if choice == LARGEST else int(choice)
        self.references = np.zeros((0, 0)) if references is None else references.cpu().numpy()
        self.reset()

    def reset(self) -> None:
        """Prepare for a new video."""
        self.identities = [_Identity(embedding, 1) for embedding in self.references]
        self.tracks: dict[int, _Track] = {}  # by number, in ascending order
        self.next_track = 0
        self.frames_to_detection = 0
        self.mean_change = 0.0  # of the thumbnail
        self.empty_detections = 0  # in succession
        self.selected_identity: int | None = None  # index of the identity that `choice` selects
        self.thumbnail: np.ndarray | None = None

    def follow(self, frames: list[np.ndarray], times: list[float], end: bool = False) -> list[list[TrackedFace]]:
        """Track the next frames.

        If a detection is due within the frames, or the video ends with them, it is done on the last one, and a new face is
        followed back to its first frame. A face that is visible for fewer frames than `detection_interval` may be missed.

        Args:
            frames: (H,W,3) uint8 RGB.
            times: of the frames in seconds.
            end: whether the video ends with them.

        Returns:
            The selected faces of each frame, largest first.
        """
        rows: list[dict[int, Face]] = []
        tracks = dict(self.tracks)  # of these frames, with those that end
        shot_start = 0
        for index, frame in enumerate(frames):
            cut = self._is_cut(frame)
            if cut:
                shot_start, self.tracks, self.empty_detections = index, {}, 0
                for identity in self.identities:
                    identity.box = None
            lost = self._step(frame)
            rows.append({number: track.face for number, track in self.tracks.items()})
            self.frames_to_detection -= 1
            if cut or lost or index == len(frames) - 1 and (end or self.frames_to_detection < len(frames)):
                new = self._detect(frame, lost)
                rows[-1] = {number: track.face for number, track in self.tracks.items()}
                self._follow_back(new, frames, rows, shot_start)
                self._identify(frame)
                self.frames_to_detection = self.detection_interval
                tracks.update(self.tracks)
        return [self._select(row, tracks, time) for row, time in zip(rows, times)]

    def _is_cut(self, frame: np.ndarray) -> bool:
        """Whether a shot begins with the frame; true for the first one."""
        thumbnail = cv2.resize(frame, _THUMBNAIL_SIZE_PX, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        previous, self.thumbnail = self.thumbnail, thumbnail
        if previous is None:
            return True
        change = float(np.abs(thumbnail - previous).mean())
        cut = change > max(_MIN_CUT_CHANGE, _MIN_CUT_RATIO * self.mean_change)
        self.mean_change = 0.0 if cut else self.mean_change + 0.2 * (change - self.mean_change)
        return cut

    def _step(self, frame: np.ndarray) -> dict[int, _Track]:
        """Follow all tracks into the frame; returns those that are lost."""
        faces = self.detector.follow(frame, [track.face for track in self.tracks.values()])
        lost = {}
        for (number, track), face in zip(list(self.tracks.items()), faces):
            others = [other.face.box for key, other in self.tracks.items() if key < number]
            if face is None or others and overlaps(face.box, np.array(others)).max() > _DUPLICATE_OVERLAP:
                lost[number] = self.tracks.pop(number)
            else:
                track.face = face
        return lost

    def _detect(self, frame: np.ndarray, lost: dict[int, _Track]) -> list[int]:
        """Detect faces in the frame, and around tracks without a detection at any in-plane rotation; returns the numbers of new
        tracks."""
        ratio = min(1.0, DETECTION_LONGEST_PX / max(frame.shape[:2]))
        size = max(1, round(frame.shape[1] * ratio)), max(1, round(frame.shape[0] * ratio))
        small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA) if ratio < 1 else frame
        detections = self.detector.detect(small, any_rotation=self.empty_detections % ROTATED_INTERVAL == 0)
        faces = [Face(face.box / ratio, (face.points + 0.5) / ratio - 0.5, face.score) for face in detections]
        tracks = {**self.tracks, **lost}
        numbers = list(tracks)
        track_boxes = np.array([track.face.box for track in tracks.values()]).reshape(-1, 4)
        pairs = dict(paired(overlaps(track_boxes, _boxes(faces)), MIN_IOU))
        for row in set(range(len(numbers))) - set(pairs):  # a rotated face or one of low score
            face = self.detector.search_around(frame, tracks[numbers[row]].face)
            if face is not None and not (overlaps(face.box, _boxes(faces)) > MIN_IOU).any():
                pairs[row] = len(faces)
                faces.append(face)
        self.empty_detections = 0 if faces else self.empty_detections + 1
        for row, number in enumerate(numbers):
            track = tracks[number]
            track.misses = 0 if row in pairs else track.misses + 1
            if row in pairs and number in lost:
                track.face = faces[pairs[row]]
                self.tracks[number] = track
            elif track.misses >= _MAX_MISSES:
                self.tracks.pop(number, None)
        new = []
        for column in sorted(set(range(len(faces))) - set(pairs.values())):
            self.tracks[self.next_track] = _Track(faces[column])
            new.append(self.next_track)
            self.next_track += 1
        return new

    def _follow_back(self, new: list[int], frames: list[np.ndarray], rows: list[dict[int, Face]], shot_start: int) -> None:
        """Follow new tracks from the last frame of `rows` back to their first one."""
        faces = {number: self.tracks[number].face for number in new}
        for index in range(len(rows) - 2, shot_start - 1, -1):
            boxes = _boxes(list(rows[index].values()))
            followed = self.detector.follow(frames[index], list(faces.values()))
            faces = {number: face for number, face in zip(faces, followed)
                     if face is not None and not (overlaps(face.box, boxes) > MIN_IOU).any()}
            if not faces:
                return
            rows[index].update(faces)

    def _identify(self, frame: np.ndarray) -> None:
        """Assign identities to all tracks by their embeddings and positions."""
        if not self.tracks:
            return
        tracks = list(self.tracks.values())
        boxes = np.array([track.face.box for track in tracks])
        last_boxes = np.array([np.full(4, -1.0) if identity.box is None else identity.box
                               for identity in self.identities]).reshape(-1, 4)
        scores, embeddings = overlaps(boxes, last_boxes), np.zeros((len(tracks), 1))
        cosines: np.ndarray | None = None
        if self.embed is not None:
            embeddings = self.embed(frame, [track.face for track in tracks]).cpu().numpy()
            means = [identity.embedding_sum / np.linalg.norm(identity.embedding_sum) for identity in self.identities]
            cosines = embeddings @ np.array(means or np.zeros((0, embeddings.shape[1]))).T
            scores = cosines + _OVERLAP_BONUS * scores
        matches = dict(paired(scores, MIN_ID_SIMILARITY))
        for index, track in enumerate(tracks):
            if index not in matches:
                track.identity = len(self.identities)
                self.identities.append(_Identity(embeddings[index], 1))
            else:
                track.identity = matches[index]
                identity = self.identities[track.identity]
                is_similar = cosines is not None and cosines[index, track.identity] >= MIN_ID_SIMILARITY
                if is_similar and identity.count < _MAX_EMBEDDINGS:
                    identity.embedding_sum, identity.count = identity.embedding_sum + embeddings[index], identity.count + 1
            self.identities[track.identity].box = track.face.box
        if self.rank is not None:
            by_size = sorted(tracks, key=lambda track: -track.face.area)
            is_lost = self.embed is None and self.selected_identity not in [track.identity for track in by_size]
            if (self.selected_identity is None or is_lost) and len(by_size) > self.rank:
                self.selected_identity = by_size[self.rank].identity

    def _reference_index(self, identity: int) -> int | None:
        """The reference of a selected identity; None for others."""
        if len(self.references):
            return identity if identity < len(self.references) else None
        return 0 if self.rank is None or identity == self.selected_identity else None

    def _select(self, row: dict[int, Face], tracks: dict[int, _Track], time: float) -> list[TrackedFace]:
        """Smooth the landmarks of a frame's faces and return the selected ones, largest first."""
        selected = []
        for number, face in sorted(row.items(), key=lambda item: -item[1].area):
            track = tracks[number]
            points = track.filter(face.points, time - track.time, float(face.box[2] - face.box[0]))
            track.time = time
            reference_index = self._reference_index(track.identity)
            if reference_index is not None:
                selected.append(TrackedFace(points, number, reference_index))
        return selected

    def state(self) -> dict[str, Any]:
        """The state on which the tracking of the next frames depends, as tensors and numbers for torch.save."""
        identities = [{'embedding_sum': torch.from_numpy(np.array(identity.embedding_sum)), 'count': identity.count,
                       'box': None if identity.box is None else torch.from_numpy(identity.box)} for identity in self.identities]
        tracks = {number: {'box': torch.from_numpy(track.face.box), 'points': torch.from_numpy(track.face.points),
                           'score': track.face.score, 'identity': track.identity, 'misses': track.misses, 'time': track.time,
                           'filter': track.filter.state()} for number, track in self.tracks.items()}
        return {'identities': identities, 'tracks': tracks, 'next': self.next_track, 'wait': self.frames_to_detection,
                'usual': self.mean_change, 'blank': self.empty_detections, 'chosen': self.selected_identity,
                'thumb': None if self.thumbnail is None else torch.from_numpy(self.thumbnail)}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a `state`, bit-exactly."""
        self.identities = [_Identity(item['embedding_sum'].numpy(), item['count'],
                                     None if item['box'] is None else item['box'].numpy()) for item in state['identities']]
        self.tracks = {}
        for number, item in state['tracks'].items():
            face = Face(item['box'].numpy(), item['points'].numpy(), item['score'])
            track = _Track(face, item['identity'], item['misses'], item['time'])
            track.filter.restore(item['filter'])
            self.tracks[number] = track
        self.next_track, self.frames_to_detection = state['next'], state['wait']
        self.mean_change, self.empty_detections, self.selected_identity = state['usual'], state['blank'], state['chosen']
        self.thumbnail = None if state['thumb'] is None else state['thumb'].numpy()


def _boxes(faces: list[Face]) -> np.ndarray:
    """Boxes (N,4) of N faces."""
    return np.array([face.box for face in faces]).reshape(-1, 4)
