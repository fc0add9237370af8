"""Sizes of files and packages, READMEs, docstrings of packages, and the vocabulary of the source."""
import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ('configs', 'models', 'datasets', 'experiments', 'scripts', 'app', 'tests')
MAX_LINES = 300
MAX_MODULES = 13  # of a package, besides __init__ and those of its sub-packages
MAX_README_LINES = 60
ENTRY_POINTS = ('scripts', 'tests/scripts')  # one module per command
# Words of earlier versions that were replaced by terms of the field. The hyphens exclude this file from the search.
FORMER_WORDS = ('play-ers', 'pa-ces', 'aver-aged', 'rem-ember', 'to-ld', 'unt-old', 'pla-te', 'plan-es', 'fi-lm', 'pic-ture',
                'cri-tic', 'taught-_by', 'lo-oks')
CONVERSION = {'configs/renamed.py', 'tests/configs/test_renamed.py'}  # old names in files of users, and their test


def files(pattern: str) -> dict[str, Path]:
    """Path relative to the root -> file, of all packages."""
    return {path.relative_to(ROOT).as_posix(): path for package in PACKAGES for path in sorted((ROOT / package).rglob(pattern))}


def packages() -> dict[str, Path]:
    """Path relative to the root -> folder, of each package and of scripts."""
    return {'scripts': ROOT / 'scripts'} | {name.removesuffix('/__init__.py'): path.parent
                                            for name, path in files('__init__.py').items()}


def former_words(text: str) -> list[str]:
    """The former words that occur as whole words."""
    words = '|'.join(FORMER_WORDS).replace('-', '')
    return sorted(set(re.findall(rf'\b(?:{words})\b', text)))


def test_files_have_at_most_300_lines():
    lengths = {name: len(path.read_bytes().splitlines()) for name, path in files('*.py').items()}
    assert len(lengths) > 300
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_packages_have_at_most_13_modules():
    counts = {name: len(list(folder.glob('*.py'))) - (folder / '__init__.py').is_file() for name, folder in packages().items()}
    assert {name: count for name, count in counts.items() if count > MAX_MODULES and name not in ENTRY_POINTS} == {}


def test_former_words_do_not_occur():
    words = {name: former_words(path.read_text(encoding='utf-8')) for name, path in files('*.py').items()
             if name not in CONVERSION}
    assert {name: former for name, former in words.items() if former} == {}


def test_former_words_are_detected():
    first, second = (FORMER_WORDS[index].replace('-', '') for index in (0, -1))
    assert former_words(f'the {first}, and what {second}_ like {second}') == sorted([first, second])
    assert former_words(f'{first}x and _{second}') == []


def test_packages_have_a_readme_of_one_screen():
    names = [name for name in packages() if name.split('/')[0] != 'tests']
    lengths = {name: len((ROOT / name / 'README.md').read_bytes().splitlines()) if (ROOT / name / 'README.md').is_file() else 0
               for name in names}
    assert {name: length for name, length in lengths.items() if not 0 < length <= MAX_README_LINES} == {}


def test_packages_have_a_docstring():
    missing = [name for name, folder in packages().items() if not name.startswith('tests') and name != 'scripts'
               and not ast.get_docstring(ast.parse((folder / '__init__.py').read_text(encoding='utf-8')))]
    assert missing == []
