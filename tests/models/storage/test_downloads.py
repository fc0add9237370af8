"""Downloads from faulty servers: error messages, time limits, resumption."""
import hashlib
import socketserver
import threading
import time
from urllib.request import Request

import pytest

from models import weights
from models.storage.downloads import DownloadError, Limits, Redirects, download

CONTENT = bytes(range(256)) * 400
LIMITS = Limits(timeout=0.6, window=0.25, rate=40_000, size=1_000_000)
WHOLE = b'Content-Length: %d\r\n' % len(CONTENT)


def _send(handler, body: bytes = CONTENT, headers: bytes = WHOLE, status: bytes = b'200 OK') -> None:
    handler.wfile.write(b'HTTP/1.1 ' + status + b'\r\n' + headers + b'Connection: close\r\n\r\n' + body)


def _drip(handler, data: bytes) -> None:
    """Send one byte at a time, so that no read times out."""
    for byte in data:
        handler.wfile.write(bytes([byte]))
        time.sleep(0.05)


def _redirect(address: bytes, status: bytes = b'302 Found'):
    return lambda handler: _send(handler, b'', b'Content-Length: 0\r\nLocation: ' + address + b'\r\n', status)


def _reply(body: bytes = CONTENT, headers: bytes = WHOLE, status: bytes = b'200 OK'):
    return lambda handler: _send(handler, body, headers, status)


def _raw(data: bytes):
    return lambda handler: handler.wfile.write(data)


def _slow_body(handler) -> None:
    _send(handler, b'')
    _drip(handler, CONTENT)


def _endless(headers: bytes, block: bytes):
    def serve(handler):
        _send(handler, b'', headers)
        while True:
            handler.wfile.write(block)
    return serve


def _stall(handler) -> None:
    _send(handler, CONTENT[:100])
    time.sleep(2)


def _bounce(handler) -> None:
    _redirect(b'/more' + handler.path.encode())(handler)


ACCEPTED = {
    'whole': _reply(),
    'no length': _reply(headers=b''),
    'chunked': _reply(b'%x\r\n' % len(CONTENT) + CONTENT + b'\r\n0\r\n\r\n', b'Transfer-Encoding: chunked\r\n'),
    'redirected once': lambda handler: _send(handler) if handler.path == '/moved' else _redirect(b'/moved')(handler),
    'redirected permanently': lambda handler: (_send(handler) if handler.path == '/moved'
                                            else _redirect(b'/moved', b'301 Moved')(handler)),
    'a status without words': _reply(status=b'200'),
}
# behavior, message
REFUSED = {
    'length of letters': (_reply(headers=b'Content-Length: banana\r\n'), "length 'banana', which is no number"),
    'negative length': (_reply(headers=b'Content-Length: -5\r\n'), "length '-5', which is no number"),
    'length of digits of another script': (_reply(headers='Content-Length: \u0661\r\n'.encode()), 'which is no number'),
    'length of five thousand digits': (_reply(headers=b'Content-Length: ' + b'9' * 5000 + b'\r\n'), 'which is no number'),
    'length in exponents': (_reply(headers=b'Content-Length: 1e5\r\n'), 'which is no number'),
    'length too short': (_reply(headers=b'Content-Length: 10\r\n'), 'length of 10 bytes where 102400 are expected'),
    'length too long': (_reply(headers=b'Content-Length: 999999999999\r\n'), 'length of 999999999999 bytes where'),
    'cut off': (_reply(CONTENT[:500]), 'was closed after 500 of 102400 bytes'),
    'empty': (_reply(b'', b''), 'was closed after 0 of'),
    'a byte at a time': (_slow_body, 'fewer than 40 KB a second'),
    'headers a byte at a time': (lambda handler: _drip(handler, b'HTTP/1.1 200 OK\r\nX: ' + b'x' * 1000), 'fewer than 40 KB'),
    'the size of a chunk a byte at a time': (lambda handler: (_send(handler, b'', b'Transfer-Encoding: chunked\r\n'),
                                                              _drip(handler, b'0' * 1000)), 'fewer than 40 KB'),
    'nothing after the headers': (_stall, 'fewer than 40 KB'),
    'no answer': (lambda handler: time.sleep(1), 'fewer than 40 KB'),
    'endless body': (_endless(b'', CONTENT), 'more than the 102400 bytes'),
    'endless chunks': (_endless(b'Transfer-Encoding: chunked\r\n', b'400\r\n' + CONTENT[:1024] + b'\r\n'), 'more than the 10'),
    'endless headers': (lambda handler: [handler.wfile.write(b'X: y\r\n' if line else b'HTTP/1.1 200 OK\r\n')
                                         for line in range(100_000)], 'more than 100 headers'),
    'a header of a megabyte': (_reply(headers=b'X: ' + b'y' * 1_000_000 + b'\r\n'), 'more than 65536 bytes'),
    'a chunk of no size': (_reply(b'banana\r\n', b'Transfer-Encoding: chunked\r\n'), 'IncompleteRead'),
    'a chunk cut off': (_reply(b'ffff\r\nabc', b'Transfer-Encoding: chunked\r\n'), 'IncompleteRead'),
    'redirect loop': (_redirect(b'/net.bin'), 'redirects in a loop'),
    'endless redirects': (_bounce, 'redirects in a loop'),
    'redirect to a file': (_redirect(b'file:///etc/passwd'), 'not allowed'),
    'redirect to ftp': (_redirect(b'ftp://127.0.0.1/net.bin'), 'to ftp, which is not followed'),
    'redirect to data': (_redirect(b'data:text/plain,hello'), 'not allowed'),
    'redirect to an invalid address': (_redirect(b'http://[broken/net.bin'), 'IPv6'),
    'redirect with spaces and lines': (_redirect(b'/a b\tc'), 'redirects in a loop'),
    'redirect without an address': (_reply(b'', b'', b'302 Found'), 'HTTP status 302'),
    'not found': (_reply(b'', b'', b'404 Not Found'), 'HTTP status 404: Not Found'),
    'server error': (_reply(b'', b'', b'503 Service\x1b[2J Unavailable'), 'HTTP status 503'),
    'no content': (_reply(b'', b'', b'204 No Content'), 'HTTP status 204'),
    'an unrequested part': (_reply(CONTENT[5:], b'Content-Range: bytes 5-9/10\r\n', b'206 Partial Content'), 'a part'),
    'no HTTP': (_raw(b'SSH-2.0-OpenSSH_9.6\r\n'), 'SSH-2.0'),
    'closed at once': (_raw(b''), 'closed connection'),
    'binary': (_raw(b'\x16\x03\x01\x02\x00\x01\n' + CONTENT), 'cannot be downloaded'),
    'another file': (_reply(CONTENT[::-1]), 'another file than expected'),
    'a page of HTML': (_reply(b'<html>' + b'log in' * 9, b'Content-Length: 60\r\n'), '60 bytes where 102400 are expected'),
}


@pytest.fixture
def serve(monkeypatch, tmp_path):
    """serve(behavior) -> address of the weights `net`, list of the first bytes of all requests. The cache is tmp_path/cache."""
    servers = []

    def start(behavior):
        starts = []

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                head = []
                while (line := self.rfile.readline().strip()):
                    head.append(line.decode('latin-1'))
                self.path = head[0].split()[1] if head else ''
                self.start = next((int(line[13:].rstrip('-')) for line in head if line.startswith('Range: bytes=')), 0)
                starts.append(self.start)
                behavior(self)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads, block_on_close = True, False

            def handle_error(self, *_):  # the client has disconnected
                pass

        server = Server(('127.0.0.1', 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        address = f'http://127.0.0.1:{server.server_address[1]}/net.bin'
        entry = weights.Entry('net', 'net.bin', address, hashlib.sha256(CONTENT).hexdigest(), len(CONTENT), 'MIT', 'author')
        monkeypatch.setitem(weights.TABLE, 'net', entry)
        return address, starts

    monkeypatch.setenv('FACE_WEIGHTS_DIR', str(tmp_path / 'cache'))
    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize('name', ACCEPTED)
def test_valid_responses_are_accepted(serve, name):
    serve(ACCEPTED[name])
    assert weights.fetch('net', limits=LIMITS).read_bytes() == CONTENT


@pytest.mark.parametrize('name', REFUSED)
def test_faulty_server_raises_in_bounded_time(serve, tmp_path, name):
    behavior, message = REFUSED[name]
    serve(behavior)
    start = time.monotonic()
    with pytest.raises(weights.WeightsError, match=message) as caught:
        weights.fetch('net', limits=LIMITS)
    assert time.monotonic() - start < 5
    assert str(caught.value).isprintable(), 'one line without control characters'
    sizes = {file.name: file.stat().st_size for file in (tmp_path / 'cache').glob('*')}
    assert set(sizes) <= {'net.bin.partial'} and all(size <= len(CONTENT) for size in sizes.values())


def _from_start(handler) -> None:
    content_range = b'Content-Range: bytes %d-%d/%d\r\n' % (handler.start, len(CONTENT) - 1, len(CONTENT))
    _send(handler, CONTENT[handler.start:], content_range, b'206 Partial Content')


# behavior, first bytes of the requests
RESUMED = {
    'ranges': (_from_start, [1000]),
    'no ranges': (lambda handler: _send(handler), [1000, 0]),
    'another range': (lambda handler: _send(handler, CONTENT, b'Content-Range: bytes 7-9/10\r\n', b'206 Partial Content')
                      if handler.start else _send(handler), [1000, 0]),
    'a malformed range': (lambda handler: _send(handler, CONTENT, b'Content-Range: banana\r\n', b'206 Partial Content')
                          if handler.start else _send(handler), [1000, 0]),
    'range refused': (lambda handler: _send(handler, b'', b'', b'416 Range Not Satisfiable') if handler.start else _send(handler),
                      [1000, 0]),
}


@pytest.mark.parametrize('name', RESUMED)
def test_partial_file_is_resumed_or_restarted(serve, tmp_path, name):
    behavior, expected = RESUMED[name]
    starts = serve(behavior)[1]
    (tmp_path / 'cache').mkdir()
    (tmp_path / 'cache/net.bin.partial').write_bytes(CONTENT[:1000])
    assert weights.fetch('net', limits=LIMITS).read_bytes() == CONTENT
    assert starts == expected


def test_unknown_size_is_limited(serve, tmp_path):
    address, _ = serve(_endless(b'', CONTENT))
    with pytest.raises(DownloadError, match='more than the 1000000 bytes'):
        download(address, tmp_path / 'file', limits=LIMITS)
    assert (tmp_path / 'file').stat().st_size <= LIMITS.size


@pytest.mark.parametrize('address', ['file:///etc/passwd', 'ftp://127.0.0.1/x', 'data:,x', 'net.bin', 'http://[x', 'http://a b/'])
def test_other_schemes_raise(tmp_path, address):
    with pytest.raises((DownloadError, ValueError)) as caught:
        download(address, tmp_path / 'file', limits=LIMITS)
    assert isinstance(caught.value, DownloadError) and not list(tmp_path.iterdir())


def test_redirect_from_https_to_http_raises():
    with pytest.raises(DownloadError, match='from https to http'):
        Redirects().redirect_request(Request('https://example.org/a'), None, 302, 'Found', {}, 'http://example.org/a')


def test_unwritable_cache_raises(serve, tmp_path):
    serve(ACCEPTED['whole'])
    (tmp_path / 'cache').write_text('a file where the folder should be')
    with pytest.raises(weights.WeightsError, match='FACE_WEIGHTS_DIR'):
        weights.fetch('net', limits=LIMITS)
