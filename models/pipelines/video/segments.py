"""Finished pieces of a video, from which an interrupted command goes on."""
import hashlib
import io
import json
import os
import sys
from pathlib import Path

import torch

from models.pipelines.video.clip import VideoFormat
from models.pipelines.video.mux import SegmentWriter
from models.storage.files import MAX_NAME_BYTES, check_writable, remove, temporary_path, write_bytes, write_errors

_ENDING = '.parts'
_FORMAT = 2  # of the files in the folder


def segments_folder(output: Path) -> Path:
    """OUTPUT.parts beside the output; a name that gets too long by that is cut and bears a digest of the whole one."""
    name = output.name + _ENDING
    whole = os.fsencode(output.name)
    if len(whole) + len(_ENDING) > MAX_NAME_BYTES:
        ending = f'.{hashlib.sha256(whole).hexdigest()[:8]}{_ENDING}'
        name = whole[:MAX_NAME_BYTES - len(ending)].decode(sys.getfilesystemencoding(), 'ignore') + ending
    return output.with_name(name)


class Parts:
    """The folder of finished pieces of `video` for `output`. files; stamps, of their frames; end, of the last frame; next, the
    stamp of the first frame after them, None at the end; state, of the stages there, None at the start.

    settings: what the pieces depend on besides the video. WriteError where the folder cannot be written, ValueError where it
    holds the pieces of another job.
    """

    def __init__(self, output: Path, video: Path, settings: dict):
        self.folder, self.files, self.stamps, self.end, self.next, self.state = segments_folder(output), [], [], 0, None, None
        about = video.stat()
        job = json.dumps({**settings, 'format': _FORMAT, 'video': [video.name, about.st_size, about.st_mtime_ns]}, sort_keys=True)
        job, note = hashlib.sha256(job.encode()).hexdigest().encode(), self.folder / 'job'
        check_writable(self._path('mp4'))
        with write_errors(self.folder):
            known = note.read_bytes() if note.is_file() else None
            if self._path('pt').is_file() and known != job:
                raise ValueError(
                    f'{self.folder} holds the beginning of another job, of another video or with other settings: ask '
                    'for that one again, delete the folder, or give another -o'
                )
            if known != job:
                write_bytes(note, job)
            while (state := self._path('pt')).is_file():
                self.state = torch.load(state, weights_only=True)
                self.files.append(self._path('mp4'))
                self.stamps += self.state['stamps']
                self.end, self.next = self.state['end'], self.state['next']

    def _path(self, ending: str) -> Path:
        """Of the next piece."""
        return self.folder / f'{len(self.files):05d}.{ending}'

    def begin(self, look: VideoFormat, quality: int) -> SegmentWriter:
        return SegmentWriter(self._path('mp4'), look, quality)

    def finish(self, piece: SegmentWriter, state: dict) -> None:
        """The piece becomes one of the finished ones; the state is written last, and says that it is."""
        piece.close()
        buffer = io.BytesIO()
        torch.save({**state, 'stamps': piece.stamps, 'end': piece.end}, buffer)
        try:
            write_bytes(self._path('pt'), buffer.getvalue())
        except BaseException:
            remove(piece.path)
            raise
        self.files.append(piece.path)
        self.stamps += piece.stamps
        self.end = piece.end

    def remove(self) -> None:
        """Remove the folder: at once under its name, so that a killed command leaves none that lacks its first pieces."""
        away = temporary_path(self.folder)
        try:
            self.folder.rename(away)
        except OSError:
            away = self.folder
        remove(away)
