"""Training on a GPU, as far as a machine without one can tell: in a process of its own, where the stubs come before PyTorch."""
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.test_precision import HALF, RUNS

ROOT = Path(__file__).resolve().parent.parent.parent


def check(*arguments: str) -> None:
    done = subprocess.run([sys.executable, '-m', 'tests.cuda.train', *arguments], cwd=ROOT, capture_output=True, text=True)
    if done.returncode == 2:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]


def test_the_swap_families_train_on_a_gpu():
    check('family cgan', 'family cvae', 'family ddpm', 'preset cgan-faces', '--precision', 'bf16-mixed')


@pytest.mark.slow
@pytest.mark.parametrize('precision', ['32-true', *HALF])
@pytest.mark.parametrize('run', RUNS)
def test_everything_trains_on_a_gpu(run, precision):
    check(run, '--precision', precision)
