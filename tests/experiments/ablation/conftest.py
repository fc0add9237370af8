"""A comparison of two variants over two seeds, one run of which has failed."""
import pytest

from experiments.ablation.comparison import compare
from experiments.ablation.plan import plan
from experiments.ablation.runner import train_all
from experiments.evaluation.protocols.swaps import synthetic
from tests.experiments.ablation.stubs import ablation, write_run


@pytest.fixture(scope='session')
def comparison(tmp_path_factory):
    folder = tmp_path_factory.mktemp('ablation')
    config = ablation(seeds=[0, 1])
    runs = plan(config, folder / 'runs')
    train_all(runs[:3], write_run, [{}])
    runs[3].folder.mkdir(parents=True)
    (runs[3].folder / 'failure.txt').write_text('out of <memory>')
    return compare('tiny', config, runs, synthetic(48, 6), folder / 'evaluation', batch=4, visible=False)
