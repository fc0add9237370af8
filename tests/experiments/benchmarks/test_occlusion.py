"""Benchmark of occlusion masks, on rendered faces and on label maps of a data set."""
import pytest

from datasets.synthetic.occluders import OCCLUDERS
from scripts import benchmark
from tests.datasets import layouts


@pytest.mark.parametrize('labeled', [False, True])
def test_figures_of_every_occluder_are_printed(labeled, tmp_path, capsys):
    words = ['--images', '1', '--limits', '0.5,30', '0.7,1000']
    if labeled:
        words += ['--data', 'celebamask', '--root', str(layouts.celebamask(tmp_path / 'hq', numbers=range(2)))]
    assert benchmark.main(['occlusion', *words]) == 0
    lines = capsys.readouterr().out
    for limits in ('0.5, 30', '0.7, 1000'):
        assert f'{limits}: lost without occluder' in lines
        assert all(f'{limits}: {kind}, recall' in lines for kind in OCCLUDERS)
