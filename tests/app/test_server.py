"""Access control, security headers and layout of the web page."""
import httpx
import pytest

from app.page import Settings, serve
from scripts import app as script
from tests.app.browser import TIMEOUT_MS, open_tab

TABS = {'Swap': '#swap-start', 'Translate': '#translate-start', 'ILVR': '#ilvr-start', 'Data': '#data-gallery img',
        'Runs': '#runs-tables table, #runs-curves svg'}  # title -> element that shows that the tab is loaded


def test_tabs_fit_a_viewport_of_390_pixels(page, tmp_path_factory):
    screenshots = tmp_path_factory.mktemp('screenshots')
    page.set_viewport_size({'width': 390, 'height': 800})
    try:
        for tab, element in TABS.items():
            open_tab(page, tab)
            page.wait_for_selector(element)
            page.screenshot(path=screenshots / f'{tab}.png', full_page=True)
            assert page.evaluate('document.documentElement.scrollWidth') <= 390, f'{tab} is wider, see {screenshots}'
    finally:
        page.set_viewport_size({'width': 1200, 'height': 900})


def test_content_security_policy_allows_the_page_itself_only(page, requested_urls, address):
    assert len(requested_urls) > 20  # the fixture `page` compares their hosts
    assert "default-src 'self'" in httpx.get(address).headers['content-security-policy']


@pytest.mark.parametrize('path', ['/etc/hostname', 'http://127.0.0.1:9/image.png', 'uploads/../../../etc/hostname'])
def test_paths_sent_by_a_client_are_not_read(address, path):
    config = httpx.get(f'{address}config').json()
    component = next(part['id'] for part in config['components'] if part['props'].get('elem_id') == 'swap-source')
    event = next(event['id'] for event in config['dependencies'] if [component, 'input'] in event['targets'])
    data = [{'path': path, 'url': path, 'meta': {'_type': 'gradio.FileData'}}]
    joined = httpx.post(f'{address}gradio_api/queue/join', json={'data': data, 'fn_index': event, 'session_hash': 'session'})
    assert joined.status_code == 200
    with httpx.stream('GET', f'{address}gradio_api/queue/data?session_hash=session', timeout=TIMEOUT_MS / 1000) as response:
        outcome = next(line for line in response.iter_lines() if 'process_completed' in line)
    assert '"success":false' in outcome.replace(' ', '')


def test_other_hosts_and_blocked_paths_are_refused(address):
    assert httpx.get(address, headers={'Host': 'elsewhere.example'}).status_code == 400
    assert httpx.get(f'{address}gradio_api/proxy=http://127.0.0.1:9/').status_code == 404


@pytest.mark.parametrize('port', ['0', '-1', '99999'])
def test_port_out_of_range_is_refused(capsys, port):
    with pytest.raises(SystemExit) as caught:
        script.main(['--port', port])
    assert caught.value.code == 2 and 'must be from 1 to 65535' in capsys.readouterr().err


def test_public_host_requires_a_password(home, capsys, monkeypatch):
    monkeypatch.setenv('GRADIO_TEMP_DIR', '')  # the second server sets it, and the first one uses it too
    with pytest.raises(SystemExit):
        script.main(['--host', '0.0.0.0'])
    assert 'requires --password' in capsys.readouterr().err
    with pytest.raises(ValueError, match='password'):
        serve(Settings(), host='0.0.0.0')
    page, protected = serve(Settings(), password='secret', block=False)
    try:
        assert httpx.get(f'{protected}config').status_code == 401
        assert httpx.post(f'{protected}gradio_api/upload', files={'files': b'x'}).status_code == 401
        with httpx.Client(base_url=protected) as client:
            assert client.post('/login', data={'username': 'face', 'password': 'wrong'}).status_code == 400
            assert client.post('/login', data={'username': 'face', 'password': 'secret'}).status_code == 200
            assert client.get('/config').status_code == 200
    finally:
        page.close()
