"""Who is where in a video: faces found now and then, followed in between, smoothed, and known again when they come back."""
from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from torch import Tensor

from models.perception.detection import Detector, Face
from models.perception.detection.face import OVERLAP, overlaps, paired
from models.pipelines.photo import ALL, LARGEST, MIN_ID_SIMILARITY
from models.pipelines.video.smoothing import OneEuro

EVERY = 12  # frames from one detection to the next
TURNED_EVERY = 4  # detections without a face from one that searches at quarter turns to the next
LONGEST = 640  # pixels; a larger frame is reduced to this for detection
_NEAR = 0.25  # identity similarity that a face has beforehand to the person who was last seen in its place
_MEMORY = 32  # faces of a person that are remembered, as their mean
_MISSES = 2  # detections in a row that do not confirm a face before it counts as gone
_THUMB = (32, 18)
_CUT = 0.1, 4.0  # change of the thumbnail, in [0,1], and against the usual one, that make a cut


@dataclass(frozen=True)
class Seen:
    """points (5,2), smoothed, in pixels of the frame; track, a number as long as the face is followed; role, the number of its
    reference, 0 where there are none."""

    points: np.ndarray
    track: int
    role: int


@dataclass
class _Person:
    """looks (D,), the sum of what was embedded; count of these; box (4,), the last one, where it still says something."""

    looks: np.ndarray
    count: int
    box: np.ndarray | None = None


@dataclass
class _Track:
    face: Face
    person: int = -1
    misses: int = 0
    time: float = 0.0
    filter: OneEuro = field(default_factory=OneEuro)


class Tracker:
    """Follows the faces of one video after the other.

    embed: frame (H,W,3) and faces -> (N,D), unit length; without it a person is who is where he was. choice, as
    models.pipelines.photo.choose but for None: `largest` and a number mean the size among the faces of the first frame that shows
    so many, and that person from then on. references (R,D): instead, whom to look for; role r is the person of reference r.
    every: frames from one detection to the next.
    """

    def __init__(self, detector: Detector, embed: Callable[[np.ndarray, list[Face]], Tensor] | None = None, *,
                 choice: str | int = LARGEST, references: Tensor | None = None, every: int = EVERY):
        if choice not in (ALL, LARGEST) and not str(choice).isdecimal():
            raise ValueError(f'{choice!r} is no choice of faces; say largest, all, or a number by size from 0')
        self.detector, self.embed, self.every = detector, embed, every
        self.rank = None if choice == ALL or references is not None else 0 if choice == LARGEST else int(choice)
        self.references = np.zeros((0, 0)) if references is None else references.cpu().numpy()
        self.reset()

    def reset(self) -> None:
        """A new video begins."""
        self.people = [_Person(looks, 1) for looks in self.references]
        self.tracks: dict[int, _Track] = {}  # in the order of their numbers
        self.next, self.wait, self.usual = 0, 0, 0.0
        self.blank = 0  # detections in a row that found no face
        self.chosen = None
        self.thumb = None

    @property
    def strangers(self) -> int:
        """People seen who are none of the references."""
        return len(self.people) - len(self.references)

    def follow(self, frames: list[np.ndarray], times: list[float], end: bool = False) -> list[list[Seen]]:
        """The next frames (H,W,3) uint8 RGB with their times in seconds -> for each the faces that are meant, largest first.

        A detection falls on the last frame where one is due (where the video ends, it is), and a face that it finds is followed
        back to where it came into view. Who is seen for fewer frames than lie between two detections may be missed.
        """
        rows: list[dict[int, Face]] = []
        video = dict(self.tracks)  # of these frames, those that end in them too
        begin = 0  # first frame of the shot
        for index, frame in enumerate(frames):
            cut = self._is_cut(frame)
            if cut:
                begin, self.tracks, self.blank = index, {}, 0
                for person in self.people:
                    person.box = None
            lost = self._step(frame)
            rows.append({number: track.face for number, track in self.tracks.items()})
            self.wait -= 1
            if cut or lost or index == len(frames) - 1 and (end or self.wait < len(frames)):
                new = self._detect(frame, lost)
                rows[-1] = {number: track.face for number, track in self.tracks.items()}
                self._look_back(new, frames, rows, begin)
                self._recognise(frame)
                self.wait = self.every
                video.update(self.tracks)
        return [self._meant(row, video, time) for row, time in zip(rows, times)]

    def _is_cut(self, frame: np.ndarray) -> bool:
        """True for the first frame too."""
        before, self.thumb = self.thumb, cv2.resize(frame, _THUMB, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        if before is None:
            return True
        change = float(np.abs(self.thumb - before).mean())
        cut = change > max(_CUT[0], _CUT[1] * self.usual)
        self.usual = 0.0 if cut else self.usual + 0.2 * (change - self.usual)
        return cut

    def _step(self, frame: np.ndarray) -> dict[int, _Track]:
        """Follow every face into this frame; returns those that are not seen any more."""
        faces = self.detector.follow(frame, [track.face for track in self.tracks.values()])
        lost = {}
        for (number, track), face in zip(list(self.tracks.items()), faces):
            others = [other.face.box for key, other in self.tracks.items() if key < number]
            if face is None or others and overlaps(face.box, np.array(others)).max() > 0.7:  # two on one face
                lost[number] = self.tracks.pop(number)
            else:
                track.face = face
        return lost

    def _detect(self, frame: np.ndarray, lost: dict[int, _Track]) -> list[int]:
        """Detect in the whole frame, and at any in-plane rotation around followed faces that this does not show; returns the
        numbers of faces that were not followed."""
        ratio = min(1.0, LONGEST / max(frame.shape[:2]))
        size = max(1, round(frame.shape[1] * ratio)), max(1, round(frame.shape[0] * ratio))
        small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA) if ratio < 1 else frame
        answers = self.detector.detect(small, turned=self.blank % TURNED_EVERY == 0)
        found = [Face(face.box / ratio, (face.points + 0.5) / ratio - 0.5, face.score) for face in answers]
        known = {**self.tracks, **lost}
        numbers = list(known)
        boxes = [np.array([face.box for face in some]).reshape(-1, 4) for some in ([t.face for t in known.values()], found)]
        pairs = dict(paired(overlaps(*boxes), OVERLAP))
        for row in set(range(len(numbers))) - set(pairs):  # a head that turned to its side, or a face of low score
            face = self.detector.search_around(frame, known[numbers[row]].face)
            if face is not None and not (overlaps(face.box, np.array([f.box for f in found]).reshape(-1, 4)) > OVERLAP).any():
                pairs[row] = len(found)
                found.append(face)
        self.blank = 0 if found else self.blank + 1
        for row, number in enumerate(numbers):
            track = known[number]
            track.misses = 0 if row in pairs else track.misses + 1
            if row in pairs and number in lost:
                track.face = found[pairs[row]]
                self.tracks[number] = track
            elif track.misses >= _MISSES:
                self.tracks.pop(number, None)
        new = []
        for column in sorted(set(range(len(found))) - set(pairs.values())):
            self.tracks[self.next] = _Track(found[column])
            new.append(self.next)
            self.next += 1
        return new

    def _look_back(self, new: list[int], frames: list[np.ndarray], rows: list[dict[int, Face]], begin: int) -> None:
        """Follow new faces from the last frame of `rows` back to where they came into view."""
        faces = {number: self.tracks[number].face for number in new}
        for index in range(len(rows) - 2, begin - 1, -1):
            there = np.array([face.box for face in rows[index].values()]).reshape(-1, 4)
            answers = self.detector.follow(frames[index], list(faces.values()))
            faces = {number: face for number, face in zip(faces, answers)
                     if face is not None and not (overlaps(face.box, there) > OVERLAP).any()}
            if not faces:
                return
            rows[index].update(faces)

    def _recognise(self, frame: np.ndarray) -> None:
        """Say who the followed faces are, by their looks and by who was there."""
        if not self.tracks:
            return
        tracks = list(self.tracks.values())
        boxes = np.array([track.face.box for track in tracks])
        places = np.array([np.full(4, -1.0) if person.box is None else person.box for person in self.people]).reshape(-1, 4)
        id_similarity, looks = overlaps(boxes, places), np.zeros((len(tracks), 1))
        if self.embed is not None:
            looks = self.embed(frame, [track.face for track in tracks]).cpu().numpy()
            cosines = looks @ np.array([person.looks / np.linalg.norm(person.looks) for person in self.people]
                                       or np.zeros((0, looks.shape[1]))).T
            id_similarity = cosines + _NEAR * id_similarity
        matches = dict(paired(id_similarity, MIN_ID_SIMILARITY))
        for index, track in enumerate(tracks):
            if index not in matches:
                track.person = len(self.people)
                self.people.append(_Person(looks[index], 1))
            else:
                track.person = matches[index]
                person = self.people[track.person]
                if self.embed is not None and cosines[index, track.person] >= MIN_ID_SIMILARITY and person.count < _MEMORY:
                    person.looks, person.count = person.looks + looks[index], person.count + 1
            self.people[track.person].box = track.face.box
        if self.rank is not None:
            there = sorted(tracks, key=lambda track: -track.face.area)
            gone = self.embed is None and self.chosen not in [track.person for track in there]
            if (self.chosen is None or gone) and len(there) > self.rank:
                self.chosen = there[self.rank].person

    def _role(self, person: int) -> int | None:
        if len(self.references):
            return person if person < len(self.references) else None
        return 0 if self.rank is None or person == self.chosen else None

    def _meant(self, row: dict[int, Face], video: dict[int, _Track], time: float) -> list[Seen]:
        seen = []
        for number, face in sorted(row.items(), key=lambda item: -item[1].area):
            track = video[number]
            points = track.filter(face.points, time - track.time, float(face.box[2] - face.box[0]))
            track.time = time
            role = self._role(track.person)
            if role is not None:
                seen.append(Seen(points, number, role))
        return seen

    def state(self) -> dict:
        """All that the next frames depend on: tensors and numbers, for torch.save."""
        people = [{'looks': torch.from_numpy(np.array(person.looks)), 'count': person.count,
                   'box': None if person.box is None else torch.from_numpy(person.box)} for person in self.people]
        tracks = {number: {'box': torch.from_numpy(track.face.box), 'points': torch.from_numpy(track.face.points),
                           'score': track.face.score, 'person': track.person, 'misses': track.misses, 'time': track.time,
                           'filter': track.filter.state()} for number, track in self.tracks.items()}
        return {'people': people, 'tracks': tracks, 'next': self.next, 'wait': self.wait, 'usual': self.usual,
                'blank': self.blank, 'chosen': self.chosen, 'thumb': None if self.thumb is None else torch.from_numpy(self.thumb)}

    def restore(self, state: dict) -> None:
        """Go on where `state` was asked for."""
        self.people = [_Person(one['looks'].numpy(), one['count'], None if one['box'] is None else one['box'].numpy())
                       for one in state['people']]
        self.tracks = {}
        for number, one in state['tracks'].items():
            face = Face(one['box'].numpy(), one['points'].numpy(), one['score'])
            track = _Track(face, one['person'], one['misses'], one['time'])
            track.filter.restore(one['filter'])
            self.tracks[number] = track
        self.next, self.wait, self.usual, self.chosen = (state[name] for name in ('next', 'wait', 'usual', 'chosen'))
        self.blank = state['blank']
        self.thumb = None if state['thumb'] is None else state['thumb'].numpy()
