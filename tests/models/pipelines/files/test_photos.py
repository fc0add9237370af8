"""Output names, batches and lists of photo files."""
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from models.pipelines.files.photos import photo_outputs, process_files
from models.pipelines.files.references import read_references
from models.pipelines.files.swaps import read_identity_list
from models.pipelines.files.translations import translation_files
from models.pipelines.io.images import write_image
from models.pipelines.report import Progress
from tests.models.stubs import photo


class ListReport:
    """A Report that stores messages, paths and progress."""

    def __init__(self):
        self.messages: list[str] = []
        self.paths: list[Path] = []
        self.steps: list[tuple[int, int | None]] = []

    def message(self, text: str) -> None:
        self.messages.append(text)

    def written(self, path: Path) -> None:
        self.paths.append(path)

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        yield lambda done, count: self.steps.append((done, count))


@pytest.fixture
def folder(tmp_path) -> Path:
    """Three files of two stems."""
    folder = tmp_path / 'in'
    folder.mkdir()
    for name in ('a.jpg', 'b.png', 'b.webp'):
        (folder / name).touch()
    return folder


def test_photos_that_share_a_stem_keep_their_suffix(folder, tmp_path):
    outputs = {source.name: output.name for source, output in photo_outputs(folder, tmp_path / 'out', [])}
    assert outputs == {'a.jpg': 'a.jpg', 'b.png': 'b.png', 'b.webp': 'b.webp.png'}
    names = [file.output.name for file in translation_files(folder, tmp_path / 'out', 'a2b')]
    assert names == ['a.png', 'b.png.png', 'b.webp.png']


def test_excluded_photos_are_left_out(folder, tmp_path):
    outputs = photo_outputs(folder, tmp_path / 'out', [], exclude=[folder / 'a.jpg'])
    assert [source.name for source, _ in outputs] == ['b.png', 'b.webp']


def test_failed_items_are_reported_and_counted():
    report, processed = ListReport(), []

    def process(path: Path) -> None:
        if path.stem == 'b':
            raise ValueError('no image')
        processed.append(path.stem)

    process_files([Path('a'), Path('b'), Path('c')], process, total=5, path_of=lambda path: path, verb='swapped', report=report)
    assert processed == ['a', 'c'] and report.steps == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert report.messages == ['b: no image', '2 images swapped, 1 not, 2 existed already']


def test_failure_of_all_items_raises():
    def process(path: Path) -> None:
        raise ValueError('unreadable')

    with pytest.raises(ValueError, match='none of 1 images could be swapped'):
        process_files([Path('a')], process, total=1, path_of=lambda path: path, verb='swapped', report=ListReport())


def test_identity_list_is_relative_to_its_folder(tmp_path):
    (tmp_path / 'sub').mkdir()
    for path in (tmp_path / 'a.png', tmp_path / 'sub' / 'b.png'):
        path.touch()
    (tmp_path / 'list.csv').write_text('reference,source\na.png,sub/b.png\n')
    assert read_identity_list(tmp_path / 'list.csv') == [(tmp_path / 'a.png', tmp_path / 'sub' / 'b.png')]
    (tmp_path / 'list.csv').write_text('reference,source\na.png,\n')
    with pytest.raises(ValueError, match='lacks a photo'):
        read_identity_list(tmp_path / 'list.csv')


def test_references_are_named_after_unique_stems(tmp_path):
    for name in ('a.png', 'b.jpg', 'b.png'):
        write_image(tmp_path / name, photo(20, 30))
    assert list(read_references(tmp_path)) == ['a', 'b-jpg', 'b-png']
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError, match='no images'):
        read_references(tmp_path / 'empty')
