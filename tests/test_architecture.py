"""Rules of imports between packages: direction, families, cycles; the top level; the first lines of scripts."""
import ast
import subprocess
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from models.registry import FAMILIES, GENERATORS

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ('configs', 'models', 'datasets', 'experiments', 'scripts', 'app')
# package -> other packages that its modules may import
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


@cache
def imports(source: str) -> list[tuple[int, str]]:
    """(line, dotted name) of all imports of a module, those inside functions included; `from a import b` is a.b."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [(node.lineno, '.' * node.level + f'{node.module or ""}.{alias.name}') for alias in node.names]
    return names


def within(name: str, package: str) -> bool:
    return f'{name}.'.startswith(f'{package}.')


def violations(path: str, source: str) -> list[str]:
    """Imports of a module at `path` (relative to the root) that break a rule."""
    package = path.split('/')[0]
    module = module_name(path)
    module_family = next((family for family in FAMILY_PACKAGES if within(module, family)), None)
    messages = []
    for line, name in imports(source):
        if name.startswith('.'):
            messages.append(f'{path}:{line} has the relative import {name}')
        elif name.split('.')[0] in PACKAGES:
            allowed = name.split('.')[0] == package != 'scripts' or any(within(name, other) for other in ALLOWED[package])
            family = next((family for family in FAMILY_PACKAGES if within(name, family)), None)
            if not allowed:
                messages.append(f'{path}:{line} imports {name}')
            elif package == 'models' and family is not None and family != module_family:
                messages.append(f'{path}:{line} imports the family {family}')
    return messages


def module_name(path: str) -> str:
    return path.removesuffix('.py').replace('/', '.').removesuffix('.__init__')


@cache
def sources() -> dict[str, str]:
    """Path relative to the root -> source of each module of the packages."""
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding='utf-8')
            for package in PACKAGES for path in sorted((ROOT / package).rglob('*.py'))}


def import_cycle(files: dict[str, str], depth: int | None) -> list[str] | None:
    """A cycle of imports between packages, or None.

    files: path -> source. depth: components of the dotted names of the packages; None for modules.
    """
    modules = {module_name(path) for path in files}
    graph: dict[str, set[str]] = {}
    for path, source in files.items():
        module = module_name(path)
        for _, name in imports(source):
            while name and name not in modules:
                name = name.rpartition('.')[0]
            first, second = ('.'.join(dotted.split('.')[:depth]) for dotted in (module, name))
            if name and first != second:
                graph.setdefault(first, set()).add(second)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return None


def test_imports_have_the_right_direction():
    files = sources()
    assert len(files) > 20
    messages = [message for path, source in files.items() for message in violations(path, source)]
    assert not messages, '\n'.join(messages)


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
def test_forbidden_imports_are_detected(path, source):
    assert violations(path, source)


@pytest.mark.parametrize('path, source', [
    ('models/cvae/networks.py', 'from models.blocks.norms import AdaIN\nfrom configs.base import Config'),
    ('models/cvae/networks.py', 'from models.cvae.family import losses'),
    ('datasets/celeba.py', 'from models.geometry import align\nfrom datasets import faces\nfrom models import batch'),
    ('scripts/train.py', 'import torch\nfrom experiments.training.engine import train'),
])
def test_allowed_imports_pass(path, source):
    assert violations(path, source) == []


@pytest.mark.parametrize('depth', [1, 2, 3, None])
def test_imports_have_no_cycles(depth):
    cycle = import_cycle(sources(), depth)
    assert cycle is None, ' imports '.join(reversed(cycle))


SUB_PACKAGES = {
    'experiments/evaluation/ilvr.py': 'from experiments.ablation.tables import Row',
    'experiments/ablation/tables.py': 'from experiments.evaluation.measures import MEASURES',
    'experiments/evaluation/measures.py': '',
}
MODULES = {'models/a.py': 'def f():\n    from models.b import g', 'models/b.py': 'from models import a'}


@pytest.mark.parametrize('files, depth, nodes', [
    (SUB_PACKAGES, 2, {'experiments.evaluation', 'experiments.ablation'}),
    (MODULES, None, {'models.a', 'models.b'}),
])
def test_cycles_are_detected(files, depth, nodes):
    assert set(import_cycle(files, depth)) == nodes
    assert import_cycle(files, 1) is None


def test_the_top_level_has_no_other_names():
    listed = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard'], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip('not a git checkout')
    names = {name.split('/')[0] for name in listed.stdout.splitlines()}
    assert {name for name in names if not name.startswith('.')} <= TOP_LEVEL


FIRST = 'sys.path.insert(0, str(Path(__file__).resolve().parent.parent))'


def test_scripts_put_the_root_first_on_the_path():
    scripts = sorted((ROOT / 'scripts').glob('*.py'))
    assert scripts
    for path in scripts:
        for node in ast.parse(path.read_text(encoding='utf-8')).body:
            if isinstance(node, ast.Expr) and ast.unparse(node) == FIRST:
                break
            names = [name.split('.')[0] for _, name in imports(ast.unparse(node))]
            assert not set(names) & set(PACKAGES), f'{path.name} imports {names} before it puts the root at sys.path[0]'
        else:
            pytest.fail(f'{path.name} does not put the root of the repository at sys.path[0]')
