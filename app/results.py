"""What lies below folders of results: runs with their curves, image grids and weights, ablations with their reports, tables."""
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from configs.resolve import load
from configs.schema import PerceptionConfig
from models import weights
from models.registry import family_name

WEIGHTS, REPORT = 'family.safetensors', 'report.html'
_SIGNS = {'journal.jsonl', WEIGHTS, REPORT, 'table.md', 'figures.md'}  # a folder that holds one of these is a result
_INSIDE = ('step-', 'checkpoints', 'tensorboard')  # folders that belong to a run


@dataclass(frozen=True)
class Result:
    """name: its place below the folder of results, or that folder's own name."""

    name: str
    folder: Path

    @property
    def weights(self) -> Path | None:
        """The file that models.registry.load_family reads."""
        return self._there(WEIGHTS)

    @property
    def report(self) -> Path | None:
        """The page of an ablation."""
        return self._there(REPORT)

    @property
    def config(self) -> Path | None:
        """The resolved config of a run."""
        return self._there('config.yaml')

    @property
    def images(self) -> list[Path]:
        """Grids and sheets, the newest first."""
        found = [path for place in ('', 'images', 'pictures') for path in (self.folder / place).glob('*.png')]
        return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)

    @property
    def tables(self) -> list[Path]:
        """Tables as Markdown."""
        return sorted([*self.folder.glob('table*.md'), *self.folder.glob('figures.md')])

    def _there(self, name: str) -> Path | None:
        path = self.folder / name
        return path if path.is_file() else None


def results(roots: Iterable[Path]) -> dict[str, Result]:
    """All results below the folders by name, the newest first; folders that do not exist are passed over."""
    found: dict[str, Result] = {}
    for root in roots:
        for place, folders, files in os.walk(root):
            folders[:] = sorted(name for name in folders if not name.startswith((*_INSIDE, '.')))
            if _SIGNS.intersection(files):
                inside = Path(place).relative_to(root).as_posix()
                name = root.name if inside == '.' else f'{root.name}/{inside}'
                found[name] = Result(name, Path(place))
    newest = sorted(found.values(), key=lambda result: result.folder.stat().st_mtime_ns, reverse=True)
    return {result.name: result for result in newest}


def weights_here(roots: Iterable[Path], families: Sequence[str]) -> dict[str, dict[str, Path]]:
    """Family -> name of weights -> file: those of the zoo, and those of the runs below the folders. Files that cannot be read are
    passed over."""
    zoo = {f'{entry.name} of the zoo': entry.path for entry in weights.TABLE.values()
           if entry.in_zoo and entry.format == 'safetensors'}
    runs = {name: result.weights for name, result in results(roots).items() if result.weights}
    found: dict[str, dict[str, Path]] = {}
    for name, file in (zoo | runs).items():
        try:
            family = family_name(file)
        except ValueError:
            continue
        if family in families:
            found.setdefault(family, {})[name] = file
    return found


def perception_of(file: Path) -> PerceptionConfig:
    """The perception config of a weights file, read from config.yaml in its folder, or the default."""
    config = file.with_name('config.yaml')
    return load(config).perception if config.is_file() else PerceptionConfig()
