"""Downloads of weights from a local server, and the table of weights."""
import hashlib
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from models import weights

CONTENT = bytes(range(256)) * 40000  # 10 MB: several chunks


class _Server(BaseHTTPRequestHandler):
    content, supports_ranges, ranges, max_bytes = CONTENT, True, [], None

    def do_GET(self):
        byte_range = self.headers.get('Range')
        self.ranges.append(byte_range)
        first = int(byte_range.removeprefix('bytes=').rstrip('-')) if byte_range and self.supports_ranges else 0
        if first and first >= len(self.content):
            self.send_error(416)
            return
        body = self.content[first:]
        self.send_response(206 if first else 200)
        self.send_header('Content-Length', str(len(body)))
        if first:
            self.send_header('Content-Range', f'bytes {first}-{len(self.content) - 1}/{len(self.content)}')
        self.end_headers()
        self.wfile.write(body[:self.max_bytes])

    def log_message(self, *message):
        pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    """The handler class of a local server, configured by its attributes, with the weights `net`; the cache is under tmp_path."""
    handler = type('Server', (_Server,), {'ranges': []})
    http_server = ThreadingHTTPServer(('127.0.0.1', 0), handler)
    threading.Thread(target=http_server.serve_forever, args=[0.02], daemon=True).start()
    entry = weights.Entry('net', 'net.bin', f'http://127.0.0.1:{http_server.server_port}/net.bin',
                          hashlib.sha256(CONTENT).hexdigest(), len(CONTENT), 'MIT', 'citation')
    monkeypatch.setitem(weights.TABLE, 'net', entry)
    monkeypatch.setenv('FACE_WEIGHTS_DIR', str(tmp_path / 'cache'))
    yield handler
    http_server.shutdown()
    http_server.server_close()


def _files(tmp_path) -> list[str]:
    return sorted(file.name for file in (tmp_path / 'cache').glob('*'))


def test_missing_weights_name_the_command(server):
    with pytest.raises(FileNotFoundError, match='python scripts/weights.py fetch net'):
        weights.path('net')
    assert weights.verify('net') == 'absent'


def test_unknown_name_raises():
    with pytest.raises(weights.WeightsError, match='mobilefacenet-068'):
        weights.path('no such weights')


def test_fetch_downloads_once_and_reports_progress(server, tmp_path):
    reports = []
    file = weights.fetch('net', progress=lambda done, total: reports.append((done, total)))
    assert file.read_bytes() == CONTENT
    assert reports[-1] == (len(CONTENT), len(CONTENT)) and len(reports) > 1
    assert weights.path('net') == weights.fetch('net') == file
    assert server.ranges == [None]
    assert _files(tmp_path) == ['net.bin'] and weights.verify('net') == 'right'


def test_interrupted_download_is_resumed(server, tmp_path):
    server.max_bytes = 3_000_000
    with pytest.raises(weights.WeightsError, match='was closed'):
        weights.fetch('net')
    assert _files(tmp_path) == ['net.bin.partial']
    size = (tmp_path / 'cache/net.bin.partial').stat().st_size
    assert 0 < size <= 3_000_000
    server.max_bytes = None
    assert weights.fetch('net').read_bytes() == CONTENT
    assert server.ranges == [None, f'bytes={size}-']
    assert _files(tmp_path) == ['net.bin']


@pytest.mark.parametrize('case', ['server without ranges', 'partial longer than the file'])
def test_partial_file_is_restarted_if_not_resumable(server, tmp_path, case):
    (tmp_path / 'cache').mkdir()
    length = 1000 if case == 'server without ranges' else len(CONTENT) + 7
    (tmp_path / 'cache/net.bin.partial').write_bytes(b'x' * length)
    server.supports_ranges = case != 'server without ranges'
    assert weights.fetch('net').read_bytes() == CONTENT


def test_wrong_content_is_deleted(server, tmp_path):
    server.content = CONTENT[:-1] + b'!'
    with pytest.raises(weights.WeightsError, match='another file than expected'):
        weights.fetch('net')
    assert _files(tmp_path) == []


def test_damaged_file_is_detected(server):
    file = weights.fetch('net')
    file.write_bytes(b'damaged')
    assert weights.verify('net') == 'wrong'
    with pytest.raises(weights.WeightsError, match='delete it'):
        weights.fetch('net')


def test_unverified_download_requires_the_flag_and_records_the_hash(server, monkeypatch):
    monkeypatch.setitem(weights.TABLE, 'net', replace(weights.TABLE['net'], sha256=None, size=None))
    with pytest.raises(weights.WeightsError, match='--allow-unverified'):
        weights.fetch('net')
    assert server.ranges == []
    file = weights.fetch('net', allow_unverified=True)
    assert weights.verify('net') == 'unchanged'
    file.write_bytes(b'changed later')
    assert weights.verify('net') == 'wrong'


@pytest.mark.parametrize('address', ['http://127.0.0.1:9/net.bin', None])
def test_failed_download_raises_and_leaves_no_file(server, tmp_path, monkeypatch, address):
    if address is None:
        server.do_GET = lambda self: self.send_error(404)
    else:
        monkeypatch.setitem(weights.TABLE, 'net', replace(weights.TABLE['net'], address=address))
    with pytest.raises(weights.WeightsError, match='cannot be downloaded') as error:
        weights.fetch('net')
    assert '\n' not in str(error.value)
    assert _files(tmp_path) == []


def test_manual_download_names_page_and_path(tmp_path, monkeypatch):
    monkeypatch.setenv('FACE_WEIGHTS_DIR', str(tmp_path))
    with pytest.raises(weights.WeightsError, match=f'github.com.*{tmp_path}'):
        weights.fetch('arcface-ms1mv3-r50')


def test_table_is_consistent():
    files = [entry.path for entry in weights.TABLE.values()]
    assert len(set(files)) == len(files), 'two entries would overwrite each other'
    for name, entry in weights.TABLE.items():
        assert entry.name == name and entry.license and entry.citation and entry.format
        assert entry.in_zoo or entry.address.startswith('https://')
        assert entry.sha256 is None or (len(entry.sha256) == 64 and entry.size)
        assert entry.path.parent == (weights.ZOO if entry.in_zoo else weights.cache())


def test_zoo_files_match_the_table():
    for name, entry in weights.TABLE.items():
        if entry.in_zoo and entry.path.is_file():
            assert weights.verify(name) == 'right', f'{entry.file}: write its sha256 into the table of models/weights.py'


def test_weights_are_located_by_file_or_by_name():
    assert weights.locate('runs/one/family.safetensors') == Path('runs/one/family.safetensors')
    assert weights.locate('cgan') == weights.entry('cgan').path
    with pytest.raises(weights.WeightsError, match='nothing'):
        weights.locate('nothing')
