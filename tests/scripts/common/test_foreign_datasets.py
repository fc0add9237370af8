"""Precedence of the packages `datasets` and `models` over installed packages of the same names, and refused builds."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope='module')
def foreign(tmp_path_factory):
    """An environment in which other packages named `datasets` and `models` come first."""
    folder = tmp_path_factory.mktemp('site')
    for name in ('datasets', 'models'):
        (folder / name).mkdir()
        (folder / name / '__init__.py').write_text('OWNER = "another project"\n')
    return {**os.environ, 'PYTHONPATH': str(folder), 'OMP_NUM_THREADS': '1'}


def test_script_imports_the_packages_of_its_repository(foreign, tmp_path):
    control = subprocess.run([sys.executable, '-c', 'import datasets; print(datasets.OWNER)'], cwd=tmp_path, env=foreign,
                             capture_output=True, text=True)
    assert control.stdout.strip() == 'another project'
    # swap.py imports datasets.celeba, which the other package lacks.
    process = subprocess.run([sys.executable, ROOT / 'scripts' / 'swap.py', '--help'], cwd=tmp_path, env=foreign,
                            capture_output=True, text=True)
    assert process.returncode == 0 and '--demo' in process.stdout, process.stderr


@pytest.fixture
def checkout(tmp_path):
    """A copy of the packages and of setup.py into which builds may write."""
    for path in ROOT.iterdir():
        if path.name in ('setup.py', 'README.md'):
            shutil.copy(path, tmp_path)
        elif path.is_dir() and (path / '__init__.py').exists():
            (tmp_path / path.name).mkdir()
            (tmp_path / path.name / '__init__.py').touch()
    return tmp_path


def run_setup(checkout, *arguments):
    return subprocess.run([sys.executable, 'setup.py', *arguments], cwd=checkout, capture_output=True, text=True)


def test_regular_build_is_refused_with_one_line(checkout):
    for command in (['bdist_wheel', '--dist-dir', 'out'], ['install', '--root', 'out']):
        process = run_setup(checkout, *command)
        assert process.returncode != 0 and not (checkout / 'out').exists()
        assert 'pip install -e .' in process.stderr.strip().splitlines()[-1]
        assert 'Traceback' not in process.stderr


def test_editable_build_succeeds(checkout):
    process = run_setup(checkout, 'editable_wheel', '--dist-dir', 'out')
    assert process.returncode == 0, process.stderr
    assert list((checkout / 'out').glob('*.whl'))
