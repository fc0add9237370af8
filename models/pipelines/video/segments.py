"""Finished segments of a video on disk, from which an interrupted conversion is resumed."""
import hashlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import torch

from configs.renamed import renamed_video_state
from models.pipelines.video.clip import VideoFormat
from models.pipelines.video.mux import SegmentWriter
from models.storage.files import MAX_NAME_BYTES, check_writable, remove, temporary_path, write_bytes, write_errors

_SUFFIX = '.parts'
_FORMAT_VERSION = 2  # of the files in the folder


def segments_folder(output: Path) -> Path:
    """The folder OUTPUT.parts next to the output; a name above the limit of file systems is truncated and gets a digest."""
    name = output.name + _SUFFIX
    encoded = os.fsencode(output.name)
    if len(encoded) + len(_SUFFIX) > MAX_NAME_BYTES:
        ending = f'.{hashlib.sha256(encoded).hexdigest()[:8]}{_SUFFIX}'
        name = encoded[:MAX_NAME_BYTES - len(ending)].decode(sys.getfilesystemencoding(), 'ignore') + ending
    return output.with_name(name)


class SegmentStore:
    """The folder of finished segments of `video` for `output`.

    Args:
        output: the future MP4.
        video: the file that is converted.
        settings: everything else that the segments depend on, JSON-serializable.

    Attributes:
        files: finished segments.
        stamps: time stamps of their frames.
        end: time of the end of the last frame.
        next_stamp: time stamp of the first frame after them, None at the end of the video.
        state: of the stages after them, None at the start.

    Raises:
        WriteError: the folder cannot be written.
        ValueError: the folder holds segments of another video or other settings.
    """

    def __init__(self, output: Path, video: Path, settings: dict[str, Any]):
        self.folder = segments_folder(output)
        self.files: list[Path] = []
        self.stamps: list[int] = []
        self.end = 0
        self.next_stamp: int | None = None
        self.state: dict[str, Any] | None = None
        status = video.stat()
        inputs = json.dumps({**settings, 'format': _FORMAT_VERSION, 'video': [video.name, status.st_size, status.st_mtime_ns]},
                            sort_keys=True)
        digest, digest_file = hashlib.sha256(inputs.encode()).hexdigest().encode(), self.folder / 'job'
        check_writable(self._path('mp4'))
        with write_errors(self.folder):
            stored_digest = digest_file.read_bytes() if digest_file.is_file() else None
            if self._path('pt').is_file() and stored_digest != digest:
                raise ValueError(
                    f'{self.folder} holds segments of another video or of other settings: repeat the command that wrote them, '
                    'delete the folder, or give another -o'
                )
            if stored_digest != digest:
                write_bytes(digest_file, digest)
            while (state_file := self._path('pt')).is_file():
                state = renamed_video_state(torch.load(state_file, weights_only=True))
                self.files.append(self._path('mp4'))
                self.stamps += state['stamps']
                self.state, self.end, self.next_stamp = state, state['end'], state['next']

    def _path(self, suffix: str) -> Path:
        """File of the next segment."""
        return self.folder / f'{len(self.files):05d}.{suffix}'

    def begin(self, video_format: VideoFormat, quality: int) -> SegmentWriter:
        """Open the next segment."""
        return SegmentWriter(self._path('mp4'), video_format, quality)

    def finish(self, segment: SegmentWriter, state: dict[str, Any]) -> None:
        """Close a segment and add it. `state` is written last and marks the segment as finished."""
        segment.close()
        buffer = io.BytesIO()
        torch.save({**state, 'stamps': segment.stamps, 'end': segment.end}, buffer)
        try:
            write_bytes(self._path('pt'), buffer.getvalue())
        except BaseException:
            remove(segment.path)
            raise
        self.files.append(segment.path)
        self.stamps += segment.stamps
        self.end = segment.end

    def remove(self) -> None:
        """Remove the folder. It is renamed first, so that a killed process leaves no folder without its first segments."""
        renamed = temporary_path(self.folder)
        try:
            self.folder.rename(renamed)
        except OSError:
            renamed = self.folder
        remove(renamed)
