"""Folders of results: runs with curves, image grids and weights; ablations with reports; tables."""
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from configs.resolve import load
from configs.schema import PerceptionConfig
from models import weights
from models.registry import family_name

WEIGHTS_FILE, REPORT_FILE, CONFIG_FILE = 'family.safetensors', 'report.html', 'config.yaml'
_RESULT_FILES = {'journal.jsonl', WEIGHTS_FILE, REPORT_FILE, 'table.md', 'figures.md'}  # a result folder holds one of these
_RUN_SUBFOLDERS = ('step-', 'checkpoints', 'tensorboard')  # prefixes of folders inside a run
_IMAGE_FOLDERS = ('', 'images', 'pictures')  # the last one in runs of earlier versions


@dataclass(frozen=True)
class ResultFolder:
    """A folder with results. name: its path, beginning with the name of the root folder."""

    name: str
    folder: Path

    @property
    def weights(self) -> Path | None:
        """Weights for models.registry.load_family."""
        return self._existing(WEIGHTS_FILE)

    @property
    def report(self) -> Path | None:
        """HTML report of an ablation."""
        return self._existing(REPORT_FILE)

    @property
    def config(self) -> Path | None:
        """Resolved config of a run."""
        return self._existing(CONFIG_FILE)

    @property
    def images(self) -> list[Path]:
        """Image grids and contact sheets, newest first."""
        files = [path for folder in _IMAGE_FOLDERS for path in (self.folder / folder).glob('*.png')]
        return sorted(files, key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)

    @property
    def tables(self) -> list[Path]:
        """Tables as Markdown."""
        return sorted([*self.folder.glob('table*.md'), *self.folder.glob('figures.md')])

    def _existing(self, name: str) -> Path | None:
        path = self.folder / name
        return path if path.is_file() else None


def find_results(roots: Iterable[Path]) -> dict[str, ResultFolder]:
    """All result folders below the roots by name, newest first; roots that do not exist are skipped."""
    results: dict[str, ResultFolder] = {}
    for root in roots:
        for folder, subfolders, files in os.walk(root):
            subfolders[:] = sorted(name for name in subfolders if not name.startswith((*_RUN_SUBFOLDERS, '.')))
            if _RESULT_FILES.intersection(files):
                relative = Path(folder).relative_to(root).as_posix()
                name = root.name if relative == '.' else f'{root.name}/{relative}'
                results[name] = ResultFolder(name, Path(folder))
    newest = sorted(results.values(), key=lambda result: result.folder.stat().st_mtime_ns, reverse=True)
    return {result.name: result for result in newest}


def local_weights(roots: Iterable[Path], families: Sequence[str]) -> dict[str, dict[str, Path]]:
    """Family -> name of weights -> file, of the zoo and of the runs below the roots. Unreadable files are skipped."""
    zoo = {f'{entry.name} of the zoo': entry.path for entry in weights.TABLE.values()
           if entry.in_zoo and entry.format == 'safetensors'}
    runs = {name: result.weights for name, result in find_results(roots).items() if result.weights}
    files: dict[str, dict[str, Path]] = {}
    for name, file in (zoo | runs).items():
        try:
            family = family_name(file)
        except ValueError:
            continue
        if family is not None and family in families:
            files.setdefault(family, {})[name] = file
    return files


def perception_of(file: Path) -> PerceptionConfig:
    """The perception config of a weights file, read from config.yaml in its folder, or the default."""
    config = file.with_name(CONFIG_FILE)
    return load(config).perception if config.is_file() else PerceptionConfig()
