"""The page in a real browser: each tab does its job, what is wrong is said in a sentence, and nothing comes from elsewhere."""
import io
import re
import shutil
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from app.choice import chosen
from app.page import Settings, serve
from app.viewing import OnDisk
from models import weights
from models.pipelines.demo import demo_photo
from models.pipelines.io.images import read_image, write_image
from models.pipelines.io.provenance import COMPOSITE_MEDIA, GENERATED_MEDIA, inspect
from scripts import app as script
from tests.app.site import results
from tests.datasets.webcaricatures import webcaricatures

CHROMIUM = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
SECONDS = 60_000  # milliseconds that the browser waits at most: the machine may be busy

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason='no Chromium is installed here (Debian: apt-get install chromium)')


@pytest.fixture(scope='module')
def home(tmp_path_factory):
    """Folders of runs, data and images; a certificate of its own."""
    home = tmp_path_factory.mktemp('page')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('FACE_WEIGHTS_DIR', str(home / 'weights'))
        patch.setenv('GRADIO_TEMP_DIR', '')  # the server sets it, and is not to leave it behind
        results(home / 'runs')
        webcaricatures(home / 'web', num_identities=3, each=1, size=128)
        for name in ('portrait', 'astronaut'):
            write_image(home / f'{name}.png', demo_photo(name))
        yield home


@pytest.fixture(scope='module')
def address(home):
    page, address = serve(Settings([home / 'runs'], {'caricatures': OnDisk('webcaricature', home / 'web')}), block=False)
    yield address
    page.close()


@pytest.fixture(scope='module')
def browser():
    playwright = pytest.importorskip('playwright.sync_api', reason='the browser is driven by the package playwright')
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox'])  # root may run it only so
        yield browser
        browser.close()


@pytest.fixture(scope='module')
def asked():
    """All addresses that the browser asked for."""
    return []


@pytest.fixture(scope='module')
def window(browser, asked):
    window = browser.new_page(viewport={'width': 1200, 'height': 900})
    window.set_default_timeout(SECONDS)
    window.on('request', lambda request: asked.append(request.url))
    return window


@pytest.fixture
def page(window, address):
    """The page, as it is when it was just opened."""
    window.goto(address)
    window.wait_for_selector('#swap-go')
    return window


def give(page, place: str, path: Path) -> None:
    """Upload an image and wait until it is shown."""
    page.set_input_files(f'#{place} input[type=file]', str(path))
    page.wait_for_selector(f'#{place} img')


def said(page) -> str:
    """The sentence of the error that is shown, which is closed."""
    toast = page.locator('.toast-body').first
    toast.wait_for()
    text = toast.inner_text()
    toast.locator('button').last.click()
    page.wait_for_function('!document.querySelector(".toast-body")')
    return text


def opened(page, tab: str) -> None:
    """Open a tab."""
    page.locator('button[role=tab]', has_text=tab).first.click()


def choose(page, place: str, option: str) -> None:
    page.click(f'#{place} input')
    page.locator('[role=option]', has_text=option).first.click()


def fetched(page, image: str, path: Path) -> Path:
    """An image that the page shows, as a file."""
    source = page.locator(image).first.get_attribute('src')
    path.write_bytes(page.request.get(source).body())
    return path


def test_a_face_is_swapped_compared_and_downloaded_with_its_credentials(page, home, tmp_path):
    give(page, 'swap-source', home / 'portrait.png')
    give(page, 'swap-target', home / 'astronaut.png')
    page.click('#swap-go')
    page.wait_for_selector('#swap-compared img >> nth=1')
    with page.expect_download() as download:
        page.click('#swap-download')
    download.value.save_as(tmp_path / 'swap.png')
    found = inspect(tmp_path / 'swap.png')
    assert found.intact and found.signed_locally and found.source_type == COMPOSITE_MEDIA
    assert found.generation_info.model == 'cgan'
    assert found.generation_info.weights == {'cgan.safetensors': weights.digest(weights.path('cgan'))}
    before, after = demo_photo('astronaut'), read_image(tmp_path / 'swap.png')
    changed = np.abs(before.astype(int) - after).max(2) > 40  # more than writing the upload anew as JPEG does
    assert changed[60:180, 170:270].mean() > 0.05 and changed[300:].mean() < 0.001


def test_what_is_no_image_is_said_and_taken_away(page, home, tmp_path):
    files = {'text.png': b'no image', 'half.jpg': _jpeg(demo_photo('astronaut'))[:5000], 'drawing.gif': _gif()}
    for (name, data), hint in zip(files.items(), ('no image in a known format', 'cannot be read', 'no image in a known')):
        (tmp_path / name).write_bytes(data)
        page.set_input_files('#swap-source input[type=file]', str(tmp_path / name))
        text = said(page)
        assert hint in text and str(tmp_path) not in text and '/' not in text.replace('/ ', '')
        page.wait_for_selector('#swap-source input[type=file]', state='attached')
    Image.new('L', (9000, 6000)).save(tmp_path / 'wide.png')
    page.set_input_files('#swap-source input[type=file]', str(tmp_path / 'wide.png'))
    assert '9000 x 6000 pixels, more than the 50 million' in said(page)
    (tmp_path / 'heavy.png').write_bytes(bytes(33 * 2 ** 20))
    page.wait_for_selector('#swap-source input[type=file]', state='attached')
    page.set_input_files('#swap-source input[type=file]', str(tmp_path / 'heavy.png'))
    assert 'maximum' in said(page)


def test_an_upload_is_written_anew(page, tmp_path):
    image = Image.fromarray(demo_photo('astronaut'))
    exif = image.getexif()
    exif[0x010e] = 'who took it, where and when'
    image.save(tmp_path / 'photo.jpg', exif=exif, comment=b'and more')
    page.set_input_files('#swap-target input[type=file]', str(tmp_path / 'photo.jpg'))
    with page.expect_response(re.compile('queue/data')):
        page.wait_for_selector('#swap-target img')
    page.wait_for_timeout(500)
    stored = fetched(page, '#swap-target img', tmp_path / 'stored.jpg').read_bytes()
    assert b'who took it' not in stored and b'and more' not in stored
    assert np.abs(np.array(Image.open(io.BytesIO(stored))).astype(int) - demo_photo('astronaut')).mean() < 4


def test_a_family_without_weights_says_how_to_train_it():
    with pytest.raises(ValueError, match='train.py --family ddpm'):
        chosen({'ddpm': {}}, 'ddpm', None, 'cgan')
    with pytest.raises(ValueError, match='train.py --family cgan'):
        chosen({}, None, None, 'cgan')


def test_what_is_missing_is_said_with_what_to_do(page):
    page.click('#swap-go')
    assert 'Two images are needed' in said(page)
    opened(page, 'ILVR')
    page.click('#ilvr-go')
    assert 'A reference is needed' in said(page)


def test_a_photo_is_translated_in_several_styles(page, home, tmp_path):
    opened(page, 'Translate')
    give(page, 'translate-image', home / 'astronaut.png')
    choose(page, 'translate-family', 'munit')
    page.fill('#translate-styles input[type=number]', '3')
    page.click('#translate-go')
    page.wait_for_selector('#translate-gallery img >> nth=2')
    found = inspect(fetched(page, '#translate-gallery img', tmp_path / 'style.png'))
    assert found.intact and found.source_type == GENERATED_MEDIA
    assert found.generation_info.model == 'munit' and 'into a drawing' in found.generation_info.description
    choose(page, 'translate-family', 'cyclegan')
    page.click('#translate-go')
    assert 'one translation of an image' in said(page)


def test_faces_are_drawn_after_a_reference_and_the_drawing_can_be_stopped(page, home, tmp_path):
    opened(page, 'ILVR')
    give(page, 'ilvr-reference', home / 'astronaut.png')
    page.fill('#ilvr-steps input[type=number]', '100')
    page.click('#ilvr-go')
    page.wait_for_selector('#ilvr-running img')
    with page.expect_response(lambda response: response.url.endswith('/reset')):  # only then has the server stopped it
        page.click('#ilvr-stop')
    page.fill('#ilvr-steps input[type=number]', '4')
    page.click('#ilvr-go')  # what was stopped holds up nothing
    page.wait_for_selector('#ilvr-gallery img >> nth=3')
    page.wait_for_selector('#ilvr-figures td:has-text("this setting")')
    assert page.locator('#ilvr-figures td').nth(4).inner_text() == '4'
    found = inspect(fetched(page, '#ilvr-gallery img >> nth=2', tmp_path / 'sample.png'))
    assert found.intact and found.source_type == GENERATED_MEDIA and 'reference' in found.generation_info.description
    give(page, 'ilvr-person', home / 'portrait.png')
    page.click('#ilvr-go')
    first = page.locator('#ilvr-gallery img').nth(2).get_attribute('src')
    page.wait_for_function('first => document.querySelectorAll("#ilvr-gallery img")[2]?.src != first', arg=first)


def test_data_are_shown_with_what_is_known_of_them(page, tmp_path):
    opened(page, 'Data')
    page.wait_for_selector('#data-gallery img >> nth=1')
    assert '3 people in 6 images, 2 of each' in page.inner_text('#data-summary')
    assert 'yaw' in page.locator('#data-gallery .caption-label').first.inner_text()
    seen = {fetched(page, '#data-gallery img', tmp_path / 'image').read_bytes()}
    for overlay in ('face mask', 'head pose'):
        source = page.locator('#data-gallery img').first.get_attribute('src')
        page.locator('#data-overlays label', has_text=overlay).click()
        page.wait_for_function('old => document.querySelector("#data-gallery img").getAttribute("src") != old', arg=source)
        seen.add(fetched(page, '#data-gallery img', tmp_path / 'image').read_bytes())
    assert len(seen) == 3
    page.click('#data-look')
    page.wait_for_selector('#data-reasons td:has-text("kept")')
    choose(page, 'data-album', 'drawn faces')
    page.wait_for_selector('#data-summary:has-text("24 people")')
    page.fill('#data-search input, #data-search textarea', 'nobody')
    page.press('#data-search input, #data-search textarea', 'Enter')
    assert 'Nobody of that name' in said(page)


def test_runs_show_curves_grids_tables_and_reports(page):
    opened(page, 'Runs')
    page.wait_for_selector('#runs-name')
    choose(page, 'runs-name', 'runs/munit-1')
    page.wait_for_selector('#runs-curves g[data-line] >> nth=1', state='attached')
    assert 'train/cycle' in page.inner_text('#runs-curves')
    page.wait_for_selector('#runs-grids img')
    choose(page, 'runs-name', 'runs/ablations/tiny')
    page.wait_for_selector('#runs-tables td:has-text("0.61")')
    assert page.frame_locator('#runs-report iframe').locator('h1', has_text='Ablation: tiny').inner_text()
    assert page.locator('#runs-curves g[data-line]').count() == 0


def test_a_phone_needs_no_sideways_scrolling(page, tmp_path_factory):
    shots = tmp_path_factory.mktemp('shots')
    page.set_viewport_size({'width': 390, 'height': 800})
    try:
        for tab, ready in (('Swap', '#swap-go'), ('Translate', '#translate-go'), ('ILVR', '#ilvr-go'),
                           ('Data', '#data-gallery img'), ('Runs', '#runs-tables table, #runs-curves svg')):
            opened(page, tab)
            page.wait_for_selector(ready)
            page.screenshot(path=shots / f'{tab}.png', full_page=True)
            assert page.evaluate('document.documentElement.scrollWidth') <= 390, f'{tab} is wider than a phone, see {shots}'
    finally:
        page.set_viewport_size({'width': 1200, 'height': 900})


def test_the_browser_asked_nobody_else(page, asked, address):
    assert len(asked) > 20
    assert not [url for url in asked if not url.startswith((address, 'data:', 'blob:', 'about:'))]
    assert "default-src 'self'" in httpx.get(address).headers['content-security-policy']


@pytest.mark.parametrize('path', ['/etc/hostname', 'http://127.0.0.1:9/image.png', 'uploads/../../../etc/hostname'])
def test_a_path_of_a_client_is_no_image(address, path):
    config = httpx.get(f'{address}config').json()
    component = next(part['id'] for part in config['components'] if part['props'].get('elem_id') == 'swap-source')
    event = next(event['id'] for event in config['dependencies'] if [component, 'input'] in event['targets'])
    data = [{'path': path, 'url': path, 'meta': {'_type': 'gradio.FileData'}}]
    joined = httpx.post(f'{address}gradio_api/queue/join', json={'data': data, 'fn_index': event, 'session_hash': 'somebody'})
    assert joined.status_code == 200
    with httpx.stream('GET', f'{address}gradio_api/queue/data?session_hash=somebody', timeout=SECONDS / 1000) as answer:
        outcome = next(line for line in answer.iter_lines() if 'process_completed' in line)
    assert '"success":false' in outcome.replace(' ', '')


def test_only_this_machine_gets_in_unless_a_password_is_asked_for(address, home, capsys):
    assert httpx.get(address, headers={'Host': 'elsewhere.example'}).status_code == 400
    assert httpx.get(f'{address}gradio_api/proxy=http://127.0.0.1:9/').status_code == 404
    with pytest.raises(SystemExit):
        script.main(['--host', '0.0.0.0'])
    assert 'give --password' in capsys.readouterr().err
    with pytest.raises(ValueError, match='password'):
        serve(Settings(), host='0.0.0.0')
    page, locked = serve(Settings(), password='secret', block=False)
    try:
        assert httpx.get(f'{locked}config').status_code == 401
        assert httpx.post(f'{locked}gradio_api/upload', files={'files': b'x'}).status_code == 401
        with httpx.Client(base_url=locked) as client:
            assert client.post('/login', data={'username': 'face', 'password': 'wrong'}).status_code == 400
            assert client.post('/login', data={'username': 'face', 'password': 'secret'}).status_code == 200
            assert client.get('/config').status_code == 200
    finally:
        page.close()


def _jpeg(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, 'JPEG')
    return buffer.getvalue()


def _gif() -> bytes:
    buffer = io.BytesIO()
    Image.new('P', (8, 8)).save(buffer, 'GIF')
    return buffer.getvalue()
