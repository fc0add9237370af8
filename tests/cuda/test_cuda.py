"""Training on a simulated GPU, in a process of its own, which loads stubs of the CUDA driver before PyTorch."""
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.small import RUNS
from tests.contract.test_precision import HALF

ROOT = Path(__file__).resolve().parent.parent.parent


def check(*arguments: str) -> None:
    """Run `python -m tests.cuda.train` and assert that it succeeds; skip where the machine lacks a requirement."""
    command = [sys.executable, '-m', 'tests.cuda.train', *arguments]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if finished.returncode == 2:
        pytest.skip(finished.stderr.strip().splitlines()[-1])
    assert finished.returncode == 0, finished.stdout + finished.stderr[-2000:]


def test_swap_families_train_on_a_gpu():
    check('family cgan', 'family cvae', 'family ddpm', 'preset cgan-faces', '--precision', 'bf16-mixed')


@pytest.mark.slow
@pytest.mark.parametrize('precision', ['32-true', *HALF])
@pytest.mark.parametrize('run', RUNS)
def test_every_run_trains_on_a_gpu(run, precision):
    check(run, '--precision', precision)
