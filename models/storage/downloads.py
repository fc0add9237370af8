"""Resumable downloads over HTTP(S) with limits on size and rate."""
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from models.storage.files import check_space, write_errors

Progress = Callable[[int, int | None], None]
_CHUNK_BYTES = 1 << 20
_RANGE = re.compile(r'bytes (\d+)-\d+/(?:\d+|\*)', re.ASCII)


class DownloadError(RuntimeError):
    """A download failed; the message is a clause with the cause, on one line."""


@dataclass(frozen=True)
class Limits:
    """Limits of a download.

    Attributes:
        timeout: maximum seconds without a byte.
        window: seconds over which the rate is measured, from the connection on.
        rate: minimum bytes per second.
        size: maximum bytes of a file of unknown size.
    """

    timeout: float = 30
    window: float = 60
    rate: float = 10_000
    size: int = 8 << 30


LIMITS = Limits()


class Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https only, and from https to https only."""

    max_redirections = 10
    inf_msg = 'the server redirects in a loop: '

    def redirect_request(self, request: Any, response: Any, code: int, message: str, headers: Any, address: str) -> Any:
        kind, origin = urlsplit(address).scheme, urlsplit(request.full_url).scheme
        if kind not in ('http', 'https') or (origin == 'https' and kind == 'http'):
            raise DownloadError(f'the server redirects from {origin} to {kind}, which is not followed')
        return super().redirect_request(request, response, code, message, headers, address)


def _opener() -> urllib.request.OpenerDirector:
    """Opener of http and https addresses; the default one also opens file:, ftp: and data: addresses."""
    opener = urllib.request.OpenerDirector()
    for handler in (urllib.request.ProxyHandler, urllib.request.HTTPHandler, urllib.request.HTTPSHandler, Redirects,
                    urllib.request.HTTPErrorProcessor, urllib.request.HTTPDefaultErrorHandler, urllib.request.UnknownHandler):
        opener.add_handler(handler())
    return opener


@contextmanager
def _network_errors() -> Iterator[None]:
    """Convert errors of http.client and urllib to DownloadError, except HTTP status 416."""
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:
            raise
        raise DownloadError(f'HTTP status {error.code}: {_one_line(error.reason)}') from error
    except (OSError, HTTPException, ValueError) as error:  # ValueError: addresses that cannot be parsed or encoded
        reason = getattr(error, 'reason', None) or error
        raise DownloadError(_one_line(reason) or type(error).__name__) from error


def _one_line(text: object) -> str:
    return ' '.join(''.join(c if c.isprintable() else ' ' for c in str(text)).split())[:300]


def download(address: str, path: Path, *, size: int | None = None, limits: Limits = LIMITS,
             progress: Progress | None = None) -> None:
    """Download an address to `path`. A partial file is continued if the server supports it, and remains after an interruption.

    Args:
        address: http or https.
        path: of the file.
        size: of the whole file in bytes, None if unknown; another length is an error.
        limits: of time, rate and size.
        progress: called with the bytes so far and the total or None.

    Raises:
        DownloadError: error of the server or the network.
        WriteError: error of the disk.
    """
    transfer = _Transfer(address, Path(path), size, limits, progress)
    # In a thread, since a server that sends single bytes keeps a read open beyond any timeout.
    thread = threading.Thread(target=transfer.run, daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            before = transfer.received
            thread.join(limits.window)
            if thread.is_alive() and transfer.received - before < limits.rate * limits.window:
                raise DownloadError(f'fewer than {limits.rate / 1000:g} KB a second arrive')
    finally:
        transfer.stopped = True
    if transfer.error is not None:
        raise transfer.error


class _Transfer:
    """A download in a thread.

    Attributes:
        received: bytes.
        stopped: set to end the download.
        error: exception that ended it, or None.
    """

    def __init__(self, address: str, path: Path, size: int | None, limits: Limits, progress: Progress | None):
        self.address, self.path, self.size, self.limits, self.progress = address, path, size, limits, progress
        self.received, self.stopped = 0, False
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self._run(self.path.stat().st_size if self.path.is_file() else 0)
        except Exception as error:  # reraised by `download`
            self.error = error

    def _run(self, start: int) -> None:
        if start and start == self.size:
            return
        response = self._open(start) if start else None  # None: no continuation
        if response is None:
            start, response = 0, self._open(0)
        if response is None:
            raise DownloadError('the server sends a part of the file instead of the whole')
        with response:
            total = self._total(start, response)
            with write_errors(self.path):  # errors of the network are DownloadErrors
                self.path.parent.mkdir(parents=True, exist_ok=True)
                check_space(self.path.parent, (total or 0) - start, self.path.name)
                with open(self.path, 'ab' if start else 'wb') as handle:
                    self._copy(response, handle, start, total)

    def _open(self, start: int) -> HTTPResponse | None:
        """Response with the bytes from `start` on, or None if the server does not resume there."""
        headers = {'User-Agent': 'face-swap-suite', **({'Range': f'bytes={start}-'} if start else {})}
        try:
            with _network_errors():
                request = urllib.request.Request(self.address, headers=headers)
                response = _opener().open(request, timeout=self.limits.timeout)
        except urllib.error.HTTPError as error:  # 416: `start` is beyond the end
            if not start:
                raise DownloadError(f'HTTP status {error.code}') from error
            return None
        match = _RANGE.fullmatch(response.headers.get('Content-Range', ''))
        first = int(match[1][:20]) if response.status == 206 and match else 0
        if response.status not in (200, 206):
            response.close()
            raise DownloadError(f'HTTP status {response.status}')
        if first != start:
            response.close()
            return None
        return response

    def _total(self, start: int, response: HTTPResponse) -> int | None:
        """Bytes of the whole file, None if unknown."""
        length = response.headers.get('Content-Length')
        if length is None:
            return self.size
        if not re.fullmatch(r'[0-9]{1,18}', length):
            raise DownloadError(f'the server states the length {_one_line(length)[:40]!r}, which is no number of bytes')
        total = start + int(length)
        if self.size not in (None, total):
            raise DownloadError(f'the server states a length of {total} bytes where {self.size} are expected')
        return total

    def _copy(self, response: HTTPResponse, handle: BinaryIO, have: int, total: int | None) -> None:
        limit = self.limits.size if total is None else total
        while True:
            with _network_errors():
                chunk = response.read1(_CHUNK_BYTES)
            if self.stopped or not chunk:
                break
            self.received += len(chunk)
            have += len(chunk)
            if have > limit:
                raise DownloadError(f'the server sends more than the {limit} bytes that are expected')
            handle.write(chunk)
            if self.progress is not None:
                self.progress(have, total)
        if total is not None and have < total:
            raise DownloadError(f'the connection was closed after {have} of {total} bytes')
