"""ILVR tab of the web page."""
from models.pipelines.io.provenance import GENERATED_MEDIA, inspect
from tests.app.browser import error_message, open_tab, saved_image, upload


def test_missing_reference_gives_an_error_message(page):
    open_tab(page, 'ILVR')
    page.click('#ilvr-start')
    assert 'A reference is needed' in error_message(page)


def test_generation_can_be_canceled_and_restarted(page, home, tmp_path):
    open_tab(page, 'ILVR')
    upload(page, 'ilvr-reference', home / 'astronaut.png')
    page.fill('#ilvr-steps input[type=number]', '100')
    page.click('#ilvr-start')
    page.wait_for_selector('#ilvr-preview img')
    with page.expect_response(lambda response: response.url.endswith('/reset')):  # sent when the server has canceled the task
        page.click('#ilvr-cancel')
    page.fill('#ilvr-steps input[type=number]', '4')
    page.click('#ilvr-start')
    page.wait_for_selector('#ilvr-gallery img >> nth=3')
    page.wait_for_selector('#ilvr-figures td:has-text("this setting")')
    assert page.locator('#ilvr-figures td').nth(4).inner_text() == '4'
    credentials = inspect(saved_image(page, '#ilvr-gallery img >> nth=2', tmp_path / 'sample.png'))
    assert credentials.intact and credentials.source_type == GENERATED_MEDIA
    assert 'reference' in credentials.generation_info.description
    upload(page, 'ilvr-identity', home / 'portrait.png')
    page.click('#ilvr-start')
    first = page.locator('#ilvr-gallery img').nth(2).get_attribute('src')
    page.wait_for_function('first => document.querySelectorAll("#ilvr-gallery img")[2]?.src != first', arg=first)
