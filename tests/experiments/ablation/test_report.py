"""HTML report of an ablation."""
import re

from experiments.ablation.report import report
from tests.experiments.ablation.stubs import Page


def test_the_report_is_self_contained_and_well_formed(comparison):
    text = report(comparison)
    page = Page()
    page.feed(text)
    images = [link for link in page.links if link]
    assert page.open == [] and len(images) == 2 * 5
    assert all(link.startswith('data:image/png;base64,') for link in images)
    assert not any(reference in text for reference in ('http:', 'https:', '@import', 'url('))
    assert len(re.findall('<g data-line=', text)) == 2


def test_texts_are_escaped(comparison):
    page = Page()
    page.feed(report(comparison))
    texts = ' '.join(page.texts)
    assert 'Does <it> matter?' in texts and 'out of <memory>' in texts and 'no identity' in texts and 'Wilcoxon' in texts
