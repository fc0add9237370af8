"""The rooms and who may import whom, read from the source."""
import ast
import subprocess
from pathlib import Path

import pytest

from models.registry import FAMILIES, GENERATORS

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ('configs', 'models', 'datasets', 'experiments', 'scripts', 'app')
# room -> the rooms, or parts of rooms, whose modules it may import besides its own
ALLOWED = {
    'configs': (),
    'models': ('configs',),
    'datasets': ('configs', 'models'),
    'experiments': ('configs', 'models', 'datasets'),
    'scripts': ('configs', 'models', 'datasets', 'experiments', 'app'),
    'app': ('configs', 'models', 'datasets', 'experiments'),
}
TOP_LEVEL = {'models', 'datasets', 'configs', 'experiments', 'scripts', 'tests', 'app', 'README.md', 'setup.py', 'LICENSE',
             'CITATION.cff', 'CONTRIBUTING.md'}
FAMILY_PACKAGES = {'.'.join(FAMILIES[name].module.split('.')[:2]) for name in GENERATORS}


def imports(source: str) -> list[tuple[int, str]]:
    """(line, dotted name) of all that a module imports, wherever it does so; `from a import b` counts as a.b."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [(node.lineno, '.' * node.level + f'{node.module or ""}.{alias.name}') for alias in node.names]
    return found


def within(name: str, package: str) -> bool:
    return f'{name}.'.startswith(f'{package}.')


def offences(path: str, source: str) -> list[str]:
    """What a module at `path` (relative to the root) imports against the rules."""
    room = path.split('/')[0]
    module = path.removesuffix('.py').replace('/', '.').removesuffix('.__init__')
    own_family = next((family for family in FAMILY_PACKAGES if within(module, family)), None)
    found = []
    for line, name in imports(source):
        if name.startswith('.'):
            found.append(f'{path}:{line} imports {name} relative to itself')
        elif name.split('.')[0] in ROOMS:
            other = name.split('.')[0]
            known = other == room != 'scripts' or any(within(name, allowed) for allowed in ALLOWED[room])
            family = next((family for family in FAMILY_PACKAGES if within(name, family)), None)
            if not known:
                found.append(f'{path}:{line} imports {name}')
            elif room == 'models' and family is not None and family != own_family:
                found.append(f'{path}:{line} imports the family {family}')
    return found


def modules() -> list[Path]:
    return sorted(path for room in ROOMS for path in (ROOT / room).rglob('*.py'))


def test_every_import_goes_in_the_right_direction():
    files = modules()
    assert len(files) > 20
    found = [offence for path in files
             for offence in offences(path.relative_to(ROOT).as_posix(), path.read_text(encoding='utf-8'))]
    assert not found, '\n'.join(found)


@pytest.mark.parametrize('path, source', [
    ('configs/base.py', 'import models'),
    ('models/cvae/networks.py', 'from datasets.celeba import celeba'),
    ('models/pipelines/photo.py', 'def f():\n    import experiments.training.engine'),
    ('models/pipelines/photo.py', 'from models.cvae.family import CVAE'),
    ('models/blocks/norms.py', 'from models import cvae'),
    ('datasets/celeba.py', 'from experiments import training'),
    ('datasets/celeba.py', 'from app import page'),
    ('experiments/training/engine.py', 'from scripts import train'),
    ('experiments/training/engine.py', 'from app.page import serve'),
    ('app/page.py', 'from scripts.app import main'),
    ('scripts/train.py', 'from scripts.swap import main'),
    ('models/base.py', 'from .batch import SwapBatch'),
])
def test_a_wrong_import_is_noticed(path, source):
    assert offences(path, source)


@pytest.mark.parametrize('path, source', [
    ('models/cvae/networks.py', 'from models.blocks.norms import AdaIN\nfrom configs.base import Config'),
    ('models/cvae/networks.py', 'from models.cvae.family import losses'),
    ('datasets/celeba.py', 'from models.geometry import align\nfrom datasets import faces\nfrom models import batch'),
    ('scripts/train.py', 'import torch\nfrom experiments.training.engine import train'),
])
def test_a_right_import_passes(path, source):
    assert offences(path, source) == []


def test_nothing_else_stands_at_the_top():
    listed = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard'], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip('the suite does not lie in a git checkout')
    names = {name.split('/')[0] for name in listed.stdout.splitlines()}
    assert {name for name in names if not name.startswith('.')} <= TOP_LEVEL


FIRST = 'sys.path.insert(0, str(Path(__file__).resolve().parent.parent))'


def test_every_script_puts_the_root_first_before_it_imports_from_it():
    scripts = sorted((ROOT / 'scripts').glob('*.py'))
    assert scripts
    for path in scripts:
        for node in ast.parse(path.read_text(encoding='utf-8')).body:
            if isinstance(node, ast.Expr) and ast.unparse(node) == FIRST:
                break
            names = [name.split('.')[0] for _, name in imports(ast.unparse(node))]
            assert not set(names) & set(ROOMS), f'{path.name} imports {names} before the root stands at sys.path[0]'
        else:
            pytest.fail(f'{path.name} does not put the root of the repository at sys.path[0]')
