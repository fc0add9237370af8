"""Fixtures of the tests of the web page: folders of results and data, a server, a browser."""
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.albums import DiskAlbum
from app.page import Settings, serve
from models.pipelines.demo import demo_photo
from models.pipelines.io.images import write_image
from tests.app.browser import TIMEOUT_MS
from tests.app.site import results
from tests.datasets.webcaricatures import webcaricatures

CHROMIUM = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)


@pytest.fixture(scope='package')
def home(tmp_path_factory) -> Iterator[Path]:
    """A folder with results (runs), a data set (web) and two photos."""
    home = tmp_path_factory.mktemp('page')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('FACE_WEIGHTS_DIR', str(home / 'weights'))
        patch.setenv('GRADIO_TEMP_DIR', '')  # set by the server; restored after the tests
        results(home / 'runs')
        webcaricatures(home / 'web', num_identities=3, each=1, size=128)
        for name in ('portrait', 'astronaut'):
            write_image(home / f'{name}.png', demo_photo(name))
        yield home


@pytest.fixture(scope='package')
def address(home) -> Iterator[str]:
    """Address of a running server."""
    page, address = serve(Settings([home / 'runs'], {'caricatures': DiskAlbum('webcaricature', home / 'web')}), block=False)
    yield address
    page.close()


@pytest.fixture(scope='package')
def browser():
    if CHROMIUM is None:
        pytest.skip('Chromium is not installed (Debian: apt-get install chromium)')
    playwright = pytest.importorskip('playwright.sync_api', reason='the browser is driven by the package playwright')
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox'])  # required when run as root
        yield browser
        browser.close()


@pytest.fixture(scope='package')
def requested_urls() -> list[str]:
    """URLs of all requests of the browser."""
    return []


@pytest.fixture(scope='package')
def window(browser, requested_urls):
    window = browser.new_page(viewport={'width': 1200, 'height': 900})
    window.set_default_timeout(TIMEOUT_MS)
    window.on('request', lambda request: requested_urls.append(request.url))
    return window


@pytest.fixture
def page(window, address, requested_urls):
    """The page, newly opened. Each test that uses it also checks that nothing was requested from other hosts."""
    window.goto(address)
    window.wait_for_selector('#swap-start')
    yield window
    assert not [url for url in requested_urls if not url.startswith((address, 'data:', 'blob:', 'about:'))]
