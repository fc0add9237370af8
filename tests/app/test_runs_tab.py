"""Runs tab of the web page."""
from tests.app.browser import choose, open_tab


def test_curves_grids_tables_and_reports_are_shown(page):
    open_tab(page, 'Runs')
    page.wait_for_selector('#runs-name')
    choose(page, 'runs-name', 'runs/munit-1')
    page.wait_for_selector('#runs-curves g[data-line] >> nth=1', state='attached')
    assert 'train/cycle' in page.inner_text('#runs-curves')
    page.wait_for_selector('#runs-grids img')
    choose(page, 'runs-name', 'runs/ablations/tiny')
    page.wait_for_selector('#runs-tables td:has-text("0.61")')
    assert page.frame_locator('#runs-report iframe').locator('h1', has_text='Ablation: tiny').inner_text()
    assert page.locator('#runs-curves g[data-line]').count() == 0
