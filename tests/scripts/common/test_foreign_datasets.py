"""`datasets` is also the name of a package of others: ours is used where both are installed, and never overwrites theirs."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope='module')
def foreign(tmp_path_factory):
    """An environment in which foreign packages called `datasets` and `models` come first."""
    folder = tmp_path_factory.mktemp('site')
    for name in ('datasets', 'models'):
        (folder / name).mkdir()
        (folder / name / '__init__.py').write_text('OWNER = "somebody else"\n')
    return {**os.environ, 'PYTHONPATH': str(folder), 'OMP_NUM_THREADS': '1'}


def test_a_script_uses_ours(foreign, tmp_path):
    control = subprocess.run([sys.executable, '-c', 'import datasets; print(datasets.OWNER)'], cwd=tmp_path, env=foreign,
                             capture_output=True, text=True)
    assert control.stdout.strip() == 'somebody else'
    # swap.py imports datasets.celeba on its way, which only ours has.
    answer = subprocess.run([sys.executable, ROOT / 'scripts' / 'swap.py', '--help'], cwd=tmp_path, env=foreign,
                            capture_output=True, text=True)
    assert answer.returncode == 0 and '--demo' in answer.stdout, answer.stderr


@pytest.fixture
def checkout(tmp_path):
    """A copy of the checkout that setup.py may write into."""
    for path in ROOT.iterdir():
        if path.name in ('setup.py', 'README.md'):
            shutil.copy(path, tmp_path)
        elif path.is_dir() and (path / '__init__.py').exists():
            (tmp_path / path.name).mkdir()
            (tmp_path / path.name / '__init__.py').touch()
    return tmp_path


def setup(checkout, *words):
    return subprocess.run([sys.executable, 'setup.py', *words], cwd=checkout, capture_output=True, text=True)


def test_a_regular_build_is_refused_in_one_sentence(checkout):
    for command in (['bdist_wheel', '--dist-dir', 'out'], ['install', '--root', 'out']):
        answer = setup(checkout, *command)
        assert answer.returncode != 0 and not (checkout / 'out').exists()
        assert 'pip install -e .' in answer.stderr.strip().splitlines()[-1]
        assert 'Traceback' not in answer.stderr


def test_an_editable_build_is_not(checkout):
    answer = setup(checkout, 'editable_wheel', '--dist-dir', 'out')
    assert answer.returncode == 0, answer.stderr
    assert list((checkout / 'out').glob('*.whl'))
