"""Translate tab of the web page."""
from models.pipelines.io.provenance import GENERATED_MEDIA, inspect
from tests.app.browser import choose, error_message, open_tab, saved_image, upload


def test_photo_is_translated_in_several_styles(page, home, tmp_path):
    open_tab(page, 'Translate')
    upload(page, 'translate-image', home / 'astronaut.png')
    choose(page, 'translate-family', 'munit')
    page.fill('#translate-styles input[type=number]', '3')
    page.click('#translate-start')
    page.wait_for_selector('#translate-gallery img >> nth=2')
    credentials = inspect(saved_image(page, '#translate-gallery img', tmp_path / 'style.png'))
    assert credentials.intact and credentials.source_type == GENERATED_MEDIA
    assert credentials.generation_info.model == 'munit' and 'into a drawing' in credentials.generation_info.description
    choose(page, 'translate-family', 'cyclegan')
    page.wait_for_function('document.querySelector("#translate-weights input").value == "runs/cyclegan-1"')
    page.click('#translate-start')
    assert 'one translation of an image' in error_message(page)
