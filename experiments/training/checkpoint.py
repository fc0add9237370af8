"""Checkpoints: complete, atomic, pruned. A checkpoint is a folder `step-00001000` that exists only once all of it is on disk:

    model.safetensors    the family as it trains
    family.safetensors   the family with EMA weights, as models.registry.load_family reads it
    state.pt             everything else (optimizers, scalers, step, random state, position in the data), read with weights_only
    metrics.json         validation figures of that step
"""
import io
import json
import math
import os
from pathlib import Path

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
    """A family's state and config as one safetensors file; dtypes are kept."""
    tensors = {key: value.detach().cpu().clone(memory_format=torch.contiguous_format) for key, value in state.items()}
    return save(tensors, {'format': 'pt', 'family': name, 'config': json.dumps(config.model_dump(mode='json'))})


def save_family(path: str | Path, name: str, state: dict[str, Tensor], config: FamilyConfig) -> None:
    """Write, atomically, the file that models.registry.load_family reads."""
    write_bytes(path, family_bytes(name, state, config))


class Checkpoints:
    """The checkpoints of a run of `family` in `folder`: the newest `keep` and, where `best` names a metric, the best by it."""

    def __init__(self, folder: Path, keep: int, best: str | None = None, best_is: str = 'min', family: str = ''):
        self.folder, self.keep, self.best_metric, self.best_is, self.family = folder, keep, best, best_is, family

    def all(self) -> list[Path]:
        """Complete checkpoints, oldest first."""
        found = {int(path.name[5:]): path for path in self.folder.glob('step-*') if path.name[5:].isdecimal() and path.is_dir()}
        return [found[step] for step in sorted(found)]

    def newest(self) -> Path | None:
        """The checkpoint to resume from."""
        return next(reversed(self.all()), None)

    def best(self) -> Path | None:
        """The checkpoint with the best value of the named metric; the newest of equals."""
        scored = []
        for path in self.all():
            metrics = self._metrics(path) or {}
            if metrics.get(self.best_metric) is not None:
                scored.append((metrics[self.best_metric] * (1 if self.best_is == 'max' else -1), path))
        return max(scored)[1] if scored else None

    def save(self, step: int, model: bytes, family: bytes, state: dict, metrics: dict[str, float]) -> Path:
        """Write a checkpoint, then drop those that need not stay. RunError, with the old ones untouched, where it cannot."""
        final = self.folder / f'step-{step:08d}'
        if final.exists():
            return final
        packed = io.BytesIO()
        torch.save(state, packed)
        files = {'model.safetensors': model, 'family.safetensors': family, 'state.pt': packed.getvalue(),
                 'metrics.json': json_text(metrics).encode()}
        try:
            for leftover in self.folder.glob('.step-*.partial'):  # of suites before models.storage.files
                remove(leftover)
            with replacing(final) as partial:
                partial.mkdir()
                for name, data in files.items():
                    (partial / name).write_bytes(data)
                    sync(partial / name)
        except OSError as error:
            raise RunError(f'the checkpoint of step {step} could not be written to {self.folder} ({error.strerror}); free some '
                           f'space or mend the folder, then resume: {self.standing()}') from error
        self._prune()
        return final

    def standing(self) -> str:
        """The last good checkpoint in words."""
        newest = self.newest()
        return f'the last good checkpoint is {newest}' if newest else 'there is no checkpoint yet'

    def _prune(self) -> None:
        staying = {*self.all()[-self.keep:], self.best() if self.best_metric else None}
        for path in self.all():
            if path not in staying and (not self.best_metric or self._metrics(path) is not None):
                doomed = temporary_path(path)  # renamed first: a half-deleted folder never looks complete
                os.replace(path, doomed)
                remove(doomed)

    def _metrics(self, path: Path) -> dict[str, float] | None:
        """The finite validation metrics of a checkpoint, None where its metrics.json cannot be read."""
        try:
            metrics = renamed_metrics(json.loads((path / 'metrics.json').read_text(encoding='utf-8')), self.family)
            return {name: value for name, value in metrics.items() if isinstance(value, (int, float)) and math.isfinite(value)}
        except (OSError, ValueError, AttributeError, RecursionError, OverflowError):
            return None


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Tensor], dict]:
    """(state of the model, the same with EMA weights, everything else)."""
    try:
        rest = torch.load(path / 'state.pt', map_location='cpu', weights_only=True)
        models = (renamed_tensors(load_file(path / f'{name}.safetensors')) for name in ('model', 'family'))
        return *models, renamed_checkpoint(rest)
    except Exception as error:  # whatever a damaged file makes three readers raise
        raise RunError(f'the checkpoint {path} is damaged ({shown(error)}); delete that folder to resume from an older one'
                       ) from error
