"""Swap tab of the web page."""
import numpy as np

from models import weights
from models.pipelines.demo import demo_photo
from models.pipelines.io.images import read_image
from models.pipelines.io.provenance import COMPOSITE_MEDIA, inspect
from tests.app.browser import error_message, upload


def test_swap_is_compared_and_downloaded_with_credentials(page, home, tmp_path):
    upload(page, 'swap-source', home / 'portrait.png')
    upload(page, 'swap-target', home / 'astronaut.png')
    page.click('#swap-start')
    page.wait_for_selector('#swap-comparison img >> nth=1')
    with page.expect_download() as download:
        page.click('#swap-download')
    download.value.save_as(tmp_path / 'swap.png')
    credentials = inspect(tmp_path / 'swap.png')
    assert credentials.intact and credentials.signed_locally and credentials.source_type == COMPOSITE_MEDIA
    assert credentials.generation_info.model == 'cgan'
    assert credentials.generation_info.weights == {'cgan.safetensors': weights.digest(weights.path('cgan'))}
    before, after = demo_photo('astronaut'), read_image(tmp_path / 'swap.png')
    is_changed = np.abs(before.astype(int) - after).max(2) > 40  # above the error of the JPEG compression of uploads
    assert is_changed[60:180, 170:270].mean() > 0.05 and is_changed[300:].mean() < 0.001


def test_missing_images_give_an_error_message(page):
    page.click('#swap-start')
    assert 'Two images are needed' in error_message(page)
