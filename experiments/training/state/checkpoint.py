"""Checkpoints: complete, atomic, pruned. A checkpoint is a folder `step-00001000`, which is renamed to this name once all of its
files are on disk:

    model.safetensors    weights in training
    family.safetensors   EMA weights, the file that models.registry.load_family reads
    state.pt             all other state (training_state.py), read with weights_only=True
    metrics.json         validation metrics of that step
"""
import io
import json
import math
import os
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from configs.reading import shown
from configs.renamed import renamed_checkpoint, renamed_metrics, renamed_tensors
from experiments.training.errors import RunError
from models.base import FamilyConfig
from models.storage.files import remove, replacing, sync, temporary_path, write_bytes
from models.storage.strict_json import json_text


def family_bytes(name: str, state: dict[str, Tensor], config: FamilyConfig) -> bytes:
    """A family's state dict and config as a safetensors file; dtypes are kept. name: name of the family in the registry."""
    tensors = {key: value.detach().cpu().clone(memory_format=torch.contiguous_format) for key, value in state.items()}
    return save(tensors, {'format': 'pt', 'family': name, 'config': json.dumps(config.model_dump(mode='json'))})


def save_family(path: str | Path, name: str, state: dict[str, Tensor], config: FamilyConfig) -> None:
    """Write, atomically, the file that models.registry.load_family reads."""
    write_bytes(path, family_bytes(name, state, config))


class Checkpoints:
    """The checkpoints of a run.

    Args:
        folder: holds the checkpoints.
        keep: number of newest checkpoints to keep.
        best: validation metric by which the best checkpoint is kept as well, or None.
        best_is: 'min' or 'max', whether lower or higher values are better.
        family: name of the family, for metrics of earlier versions.
    """

    def __init__(self, folder: Path, keep: int, best: str | None = None, best_is: str = 'min', family: str = ''):
        self.folder, self.keep, self.best_metric, self.best_is, self.family = folder, keep, best, best_is, family

    def all(self) -> list[Path]:
        """Complete checkpoints, oldest first."""
        steps = {int(path.name[5:]): path for path in self.folder.glob('step-*') if path.name[5:].isdecimal() and path.is_dir()}
        return [steps[step] for step in sorted(steps)]

    def newest(self) -> Path | None:
        """The checkpoint of the highest step."""
        return next(reversed(self.all()), None)

    def best(self) -> Path | None:
        """The checkpoint with the best value of the metric; the newest of equals. None where no metric is named or stored."""
        if self.best_metric is None:
            return None
        scores = []
        for path in self.all():
            metrics = self._metrics(path) or {}
            if metrics.get(self.best_metric) is not None:
                scores.append((metrics[self.best_metric] * (1 if self.best_is == 'max' else -1), path))
        return max(scores)[1] if scores else None

    def save(self, step: int, model: bytes, family: bytes, state: dict[str, Any], metrics: dict[str, float]) -> Path:
        """Write a checkpoint, then delete those that are not kept. Raises RunError, with the old ones intact, where writing
        fails."""
        final = self.folder / f'step-{step:08d}'
        if final.exists():
            return final
        state_file = io.BytesIO()
        torch.save(state, state_file)
        files = {'model.safetensors': model, 'family.safetensors': family, 'state.pt': state_file.getvalue(),
                 'metrics.json': json_text(metrics).encode()}
        try:
            for leftover in self.folder.glob('.step-*.partial'):  # temporary names of earlier versions
                remove(leftover)
            with replacing(final) as partial:
                partial.mkdir()
                for name, data in files.items():
                    (partial / name).write_bytes(data)
                    sync(partial / name)
        except OSError as error:
            raise RunError(f'the checkpoint of step {step} could not be written to {self.folder} ({error.strerror}); free some '
                           f'space or repair the folder, then resume: {self.status()}') from error
        self._prune()
        return final

    def status(self) -> str:
        """A clause for messages that names the newest checkpoint."""
        newest = self.newest()
        return f'the last good checkpoint is {newest}' if newest else 'there is no checkpoint yet'

    def _prune(self) -> None:
        kept = {*self.all()[-self.keep:], self.best()}
        for path in self.all():
            if path not in kept and (not self.best_metric or self._metrics(path) is not None):
                renamed = temporary_path(path)  # so that no partly deleted folder has the name of a checkpoint
                os.replace(path, renamed)
                remove(renamed)

    def _metrics(self, path: Path) -> dict[str, float] | None:
        """The finite validation metrics of a checkpoint, None where its metrics.json cannot be read."""
        try:
            metrics = renamed_metrics(json.loads((path / 'metrics.json').read_text(encoding='utf-8')), self.family)
            return {name: value for name, value in metrics.items() if isinstance(value, (int, float)) and math.isfinite(value)}
        except (OSError, ValueError, AttributeError, RecursionError, OverflowError):
            return None


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Any]]:
    """(weights in training, EMA weights, content of state.pt). Raises RunError where a file is damaged."""
    try:
        state = torch.load(path / 'state.pt', map_location='cpu', weights_only=True)
        model, family = (renamed_tensors(load_file(path / f'{name}.safetensors')) for name in ('model', 'family'))
        return model, family, renamed_checkpoint(state)
    except Exception as error:  # the three readers raise any exception for a damaged file
        raise RunError(f'the checkpoint {path} is damaged ({shown(error)}); delete that folder to resume from an older one'
                       ) from error
