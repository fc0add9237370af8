"""Lists of identities and pairs of WebCaricature, in EvaluationProtocols/ of the official layout."""
import re
from collections.abc import Iterator
from pathlib import Path

from configs.reading import shown


def plain_name(name: str) -> str:
    """Normalized name of an identity: 'Aamir Khan' and 'aamir_khan' are equal."""
    return re.sub(r'[\W_]+', ' ', name).strip().casefold()


def verification_list(root: Path, setting: str, part: str) -> Path:
    """Path of a verification list. part: View1_DevTrain, View1_DevTest or View2. Settings other than `restricted` use the lists
    of `unrestricted`."""
    kind = 'Restricted' if setting == 'restricted' else 'UnRestricted'
    return root / f'EvaluationProtocols/FaceVerification/{kind}/{kind}{part}.txt'


def read_lines(path: Path) -> list[list[str]]:
    """The words of each line. Raises ValueError if the list is missing."""
    if not path.is_file():
        raise ValueError(f'{path} is missing; unpack EvaluationProtocols of WebCaricature there')
    return [line.split() for line in path.read_text(encoding='utf-8-sig', errors='replace').splitlines() if line.strip()]


def read_blocks(path: Path, lines_per_item: int) -> Iterator[list[list[str]]]:
    """The lines of each fold.

    A fold begins with a line that holds a number n, followed by n * lines_per_item lines; the number of folds may precede the
    first fold. Raises ValueError for a missing or malformed list.
    """
    lines = read_lines(path)
    is_number = [len(words) == 1 and words[0].isdecimal() for words in lines]
    start = 1 if is_number[:2] == [True, True] else 0
    while start < len(lines):
        end = start + 1 + lines_per_item * int(lines[start][0]) if is_number[start] else 0
        if not start < end <= len(lines) or any(is_number[start + 1:end]):
            raise ValueError(f'{path} does not hold the number of lines stated in {shown(repr(" ".join(lines[start])))}')
        yield lines[start + 1:end]
        start = end


def listed_names(lines: list[list[str]]) -> list[str]:
    """Normalized names from lines of a name, a number of caricatures and a number of photos."""
    return [plain_name(' '.join(words[:-2])) for words in lines]
