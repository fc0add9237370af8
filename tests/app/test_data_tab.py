"""Data tab of the web page."""
from tests.app.browser import choose, error_message, open_tab, saved_image


def test_images_are_shown_with_overlays_and_filter_counts(page, tmp_path):
    open_tab(page, 'Data')
    page.wait_for_selector('#data-gallery img >> nth=1')
    assert '3 identities, 6 images, 2 per identity' in page.inner_text('#data-summary')
    assert 'yaw' in page.locator('#data-gallery .caption-label').first.inner_text()
    images = {saved_image(page, '#data-gallery img', tmp_path / 'image').read_bytes()}
    for overlay in ('face mask', 'head pose'):
        source = page.locator('#data-gallery img').first.get_attribute('src')
        page.locator('#data-overlays label', has_text=overlay).click()
        page.wait_for_function('old => document.querySelector("#data-gallery img").getAttribute("src") != old', arg=source)
        images.add(saved_image(page, '#data-gallery img', tmp_path / 'image').read_bytes())
    assert len(images) == 3
    page.click('#data-filter')
    page.wait_for_selector('#data-reasons td:has-text("kept")')


def test_search_for_an_unknown_identity_gives_an_error_message(page):
    open_tab(page, 'Data')
    page.wait_for_selector('#data-gallery img')
    choose(page, 'data-album', 'rendered faces')
    page.wait_for_selector('#data-summary:has-text("24 identities")')
    page.fill('#data-search input, #data-search textarea', 'unknown name')
    page.press('#data-search input, #data-search textarea', 'Enter')
    assert 'No identity of that name' in error_message(page)
