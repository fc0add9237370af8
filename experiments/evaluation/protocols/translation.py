"""Evaluation of translation between photos (a) and drawings (b): set distances to the target domain, identity, edges, colors,
diversity, and the difference to the true translation where pairs are aligned."""
import hashlib
import re
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from datasets.loaders import build_pairs
from experiments.evaluation.evaluator import set_distances, single, spread
from experiments.evaluation.judges import Judges
from experiments.evaluation.metrics.identity import cosine
from experiments.evaluation.metrics.images import diversity, l1, ssim
from experiments.evaluation.metrics.translation import color_distance, color_histogram, edge_agreement
from experiments.evaluation.shards import Shards
from experiments.evaluation.systems import System
from experiments.training.logging.progress import ProgressBar
from models.batch import PairBatch, collate


@dataclass(frozen=True)
class TranslationProtocol:
    """Images of both domains: PairBatch samples, of which the first `count` are taken."""

    pairs: Dataset
    count: int
    name: str = 'translation'


def translation(root: str | Path | None = None, size: int | None = None, count: int | None = None) -> TranslationProtocol:
    """The test set of two-domain folders below `root` or of WebCaricature, or without a root rendered pairs with true
    translations. size: side in pixels, 64 where None; count: of the pairs, all where None."""
    name = 'synthetic' if root is None else 'webcaricature' if (Path(root) / 'OriginalImages').is_dir() else 'unpaired'
    pairs = build_pairs(name, root, size or 64, 'test')
    return TranslationProtocol(pairs, min(count or len(pairs), len(pairs)))


class TranslationEvaluation:
    """Measures systems in one direction, as experiments.evaluation.evaluator.Evaluation does for swaps: batches are kept in
    `folder`, so an interrupted evaluation resumes."""

    def __init__(self, protocol: TranslationProtocol, judges: Judges, folder: Path, direction: str, *, batch: int = 16,
                 visible: bool = True):
        self.protocol, self.judges, self.folder, self.direction = protocol, judges, folder, direction
        self.batch, self.visible = batch, visible

    def _shards(self, system: System) -> Shards:
        stamp = hashlib.sha256(f'{system.key} {self.judges.key} {self.protocol.count} {self.batch}'.encode()).hexdigest()[:10]
        name = re.sub(r'[^\w.-]+', '-', system.name)
        return Shards(self.folder / f'{name}-{self.direction}-{stamp}', self.protocol.count, self.batch)

    @torch.no_grad()
    def row(self, system: System) -> dict:
        """The row of a system, in the form of experiments.evaluation.evaluator."""
        shards, count = self._shards(system), self.protocol.count
        progress_bar, began = ProgressBar(0, count, self.visible), time.monotonic()
        progress_bar.print(f'{self.protocol.name} {self.direction}: {system.name}')
        try:
            for part in shards.parts():
                if not shards.has(part):
                    found = collate([self.protocol.pairs[row] for row in part]).to(self.judges.device)
                    shards.write(part, _judged(found, self.direction, system, self.judges, part.start))
                progress_bar.step(part.stop)
                progress_bar.show(part.stop, {}, part.stop / (time.monotonic() - began))
        finally:
            progress_bar.close()
        return {'name': system.name, 'pairs': count, 'protocol': self.protocol.name, 'judges': self.judges.names,
                'missing': self.judges.missing, 'notes': self.judges.notes, 'figures': _figures(shards)}

    def pairs(self, system: System) -> dict[str, Tensor]:
        """Metrics (N,) of the individual images. The row of the system must be measured."""
        shards = self._shards(system)
        return {name: shards.whole(name) for name, values in shards.read(shards.parts()[0]).items() if values.dim() == 1}


def _judged(batch: PairBatch, direction: str, system: System, judges: Judges, seed: int) -> dict:
    source, target = (batch.a, batch.b) if direction == 'a2b' else (batch.b, batch.a)
    translated, second_sample = (system.translate(source, direction, seed=seed + more) for more in (0, 1))
    values = {'edges': edge_agreement(source, translated), 'diversity': diversity(torch.stack([translated, second_sample])),
             'identity': judges.identity(translated), 'features': judges.features(translated),
              'wanted_features': judges.features(target),
             'wanted_identity': judges.identity(target), 'colors': color_histogram(translated),
             'wanted_colors': color_histogram(target)}
    if values['identity'] is not None:
        values['id_source'] = cosine(values['identity'], judges.identity(source))
    if batch.paired.all():
        values |= {'truth_l1': l1(translated, target), 'truth_ssim': ssim(translated, target)}
    return values


def _figures(shards: Shards) -> dict[str, dict]:
    first = shards.read(shards.parts()[0])
    figures = {name: spread(shards.whole(name)) for name, values in first.items() if values.dim() == 1}
    means = [sum(values.sum(0) for values in shards.each(name)) / shards.count for name in ('colors', 'wanted_colors')]
    figures['color_distance'] = single(color_distance(*means))
    kind, names = ('features', ('fid', 'kid')) if 'features' in first else ('identity', ('fd_id', 'kd_id'))
    return figures | set_distances(shards, kind, shards, f'wanted_{kind}', names)
