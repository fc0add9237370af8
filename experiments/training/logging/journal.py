"""Records of a run: journal.jsonl, TensorBoard events, image grids and the version of the code."""
import hashlib
import json
import math
import platform
import subprocess
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from configs.reading import parse_yaml, read_text
from configs.renamed import renamed_metrics
from models.pipelines.io.image_grid import encode_png, grid
from models.storage.files import write_bytes
from models.storage.strict_json import json_text

ROOT = Path(__file__).resolve().parents[3]
CODE = ('models', 'datasets', 'configs', 'experiments')  # packages that a training run depends on


def code_version() -> str:
    """The git commit of the suite, with '+dirty' where tracked files differ from it; 'unknown' outside a git checkout."""
    def git(*arguments: str) -> str:
        return subprocess.run(['git', '-C', str(ROOT), *arguments], capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git('rev-parse', 'HEAD') + ('+dirty' if git('status', '--porcelain', '--untracked-files=no') else '')
    except (OSError, subprocess.CalledProcessError):
        return 'unknown'


def _family(folder: Path) -> str:
    """The family of a run folder, '' where its config cannot be read."""
    path = folder / 'config.yaml'
    try:
        settings = parse_yaml(read_text(path), path)
    except ValueError:
        return ''
    return str(settings.get('family')) if isinstance(settings, dict) else ''


def code_hash(root: Path = ROOT) -> str:
    """sha256 over names and contents of the modules and weights in CODE, committed or not. Documentation and YAML files are left
    out, since a run holds its resolved config."""
    digest = hashlib.sha256()
    for path in sorted(path for package in CODE for path in (root / package).rglob('*')
                       if path.suffix in ('.py', '.safetensors')):
        digest.update(f'{path.relative_to(root).as_posix()}\0{path.stat().st_size}\0'.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def read_journal(folder: Path) -> list[dict]:
    """The lines of a run's journal; incomplete and damaged ones are left out."""
    path, lines, family = folder / 'journal.jsonl', [], _family(folder)
    for text in path.read_text(encoding='utf-8', errors='replace').split('\n') if path.is_file() else []:
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(line, dict) and type(line.get('step')) is int:
            lines.append(renamed_metrics(line, family, path))
    return lines


def learning_curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Losses and metrics of a run's journal: name -> [(step, value)]."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for line in read_journal(folder):
        for name, value in line.items():
            if name.startswith(('train/', 'metrics/', 'validation/')) and isinstance(value, (int, float)):
                curves.setdefault(name, []).append((line['step'], value))
    return curves


class Journal:
    """Writes journal.jsonl, TensorBoard events and image grids of a run.

    A line of journal.jsonl is one event: {"step": 20, "event": "train", ...}. Keys of losses begin with `train/` or
    `validation/`, of other metrics with `metrics/` or `validation/`, of learning rates with `lr/`, of gradient norms with
    `grad_norm/`. A value that is not finite is null.

    Args:
        folder: the run folder.
        step: finished steps; lines of later steps are removed, so that a resumed run holds each step once.
    """

    def __init__(self, folder: Path, step: int):
        self.folder, self.path = folder, folder / 'journal.jsonl'
        (folder / 'images').mkdir(parents=True, exist_ok=True)
        kept = [line for line in read_journal(folder) if line['step'] <= step]
        write_bytes(self.path, ''.join(f'{json_text(line)}\n' for line in kept).encode())
        self._board = SummaryWriter(str(folder / 'tensorboard'), purge_step=step + 1)
        self.write(step, 'start', {'commit': code_version(), 'torch': torch.__version__, 'python': platform.python_version()})

    def write(self, step: int, event: str, values: dict) -> None:
        """Append one line, and its floats to TensorBoard."""
        with open(self.path, 'a', encoding='utf-8') as handle:
            handle.write(json_text({'step': step, 'event': event, **values}) + '\n')
        for name, value in values.items():
            if isinstance(value, float) and math.isfinite(value):
                self._board.add_scalar(name, value, step)

    def images(self, step: int, columns: dict[str, Tensor]) -> Path:
        """Save a labeled grid as PNG and in TensorBoard; columns: title -> (B,3,H,W) in [-1,1]."""
        image = grid(columns)
        path = self.folder / 'images' / f'step-{step:08d}.png'
        write_bytes(path, encode_png(image))
        self._board.add_image('panel', image, step, dataformats='HWC')
        return path

    def close(self) -> None:
        """Flush the TensorBoard events."""
        self._board.close()
