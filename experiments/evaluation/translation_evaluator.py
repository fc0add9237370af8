"""Evaluation of translation systems on a protocol: set distances to the target domain, identity, edges, colors, diversity, and
the difference to the true translation where pairs are aligned.

    FOLDER/NAME-DIRECTION-HASH/000000.npz ...   metrics and features of each translation
"""
import hashlib
import re
import time
from functools import reduce
from pathlib import Path

import torch
from torch import Tensor

from experiments.evaluation.aggregation import Figure, set_distances, single, spread
from experiments.evaluation.evaluator import Row
from experiments.evaluation.judges import Judges
from experiments.evaluation.metrics.identity import cosine
from experiments.evaluation.metrics.images import diversity, l1, ssim
from experiments.evaluation.metrics.translation import color_distance, color_histogram, edge_agreement
from experiments.evaluation.protocols.translation import TranslationProtocol
from experiments.evaluation.shards import Shards
from experiments.evaluation.systems import System
from experiments.progress import ProgressBar
from models.batch import PairBatch, collate


class TranslationEvaluation:
    """Evaluation of systems in one direction, the counterpart of experiments.evaluation.evaluator.Evaluation.

    Args:
        protocol: pairs to evaluate on.
        judges: networks that compute the metrics.
        folder: folder of the stored batches, from which an interrupted evaluation resumes.
        direction: a2b or b2a.
        batch: images per batch.
        visible: whether a progress bar is printed.
    """

    def __init__(self, protocol: TranslationProtocol, judges: Judges, folder: Path, direction: str, *, batch: int = 16,
                 visible: bool = True):
        self.protocol, self.judges, self.folder, self.direction = protocol, judges, folder, direction
        self.batch, self.visible = batch, visible

    def _shards(self, system: System) -> Shards:
        stamp = hashlib.sha256(f'{system.key} {self.judges.key} {self.protocol.count} {self.batch}'.encode()).hexdigest()[:10]
        name = re.sub(r'[^\w.-]+', '-', system.name)
        return Shards(self.folder / f'{name}-{self.direction}-{stamp}', self.protocol.count, self.batch)

    @torch.no_grad()
    def row(self, system: System) -> Row:
        """Row of a system with the keys of Evaluation.row, without sha256."""
        shards, count = self._shards(system), self.protocol.count
        progress_bar, start = ProgressBar(0, count, self.visible), time.monotonic()
        progress_bar.print(f'{self.protocol.name} {self.direction}: {system.name}')
        try:
            for part in shards.parts():
                if not shards.has(part):
                    batch = collate([self.protocol.pairs[row] for row in part]).to(self.judges.device)
                    shards.write(part, _pair_values(batch, self.direction, system, self.judges, part.start))
                progress_bar.step(part.stop)
                progress_bar.show(part.stop, {}, part.stop / (time.monotonic() - start))
        finally:
            progress_bar.close()
        return {'name': system.name, 'pairs': count, 'protocol': self.protocol.name, 'judges': self.judges.names,
                'missing': self.judges.missing, 'notes': self.judges.notes, 'figures': _figures(shards)}

    def pairs(self, system: System) -> dict[str, Tensor]:
        """Metrics (N,) of the individual images. The row of the system must be measured."""
        return self._shards(system).per_sample()


def _pair_values(batch: PairBatch, direction: str, system: System, judges: Judges, seed: int) -> dict[str, Tensor | None]:
    """Metrics (B,) of each pair; embeddings, features and color histograms of translations and targets."""
    source, target = (batch.a, batch.b) if direction == 'a2b' else (batch.b, batch.a)
    translated, second_sample = (system.translate(source, direction, seed=seed + offset) for offset in (0, 1))
    embedding, source_embedding = judges.identity(translated), judges.identity(source)
    values: dict[str, Tensor | None] = {
        'edges': edge_agreement(source, translated), 'diversity': diversity(torch.stack([translated, second_sample])),
        'identity': embedding, 'features': judges.features(translated), 'lite0': judges.lite_features(translated),
        'colors': color_histogram(translated),
        'target_identity': judges.identity(target), 'target_features': judges.features(target),
        'target_lite0': judges.lite_features(target),
        'target_colors': color_histogram(target),
    }
    if embedding is not None and source_embedding is not None:
        values['id_source'] = cosine(embedding, source_embedding)
    if batch.paired.all():
        values |= {'truth_l1': l1(translated, target), 'truth_ssim': ssim(translated, target)}
    return values


def _figures(shards: Shards) -> dict[str, Figure]:
    figures = {name: spread(values) for name, values in shards.per_sample().items()}
    histograms = [_mean(shards, name) for name in ('colors', 'target_colors')]
    figures['color_distance'] = single(color_distance(*histograms))
    if shards.find('lite0', 1) is not None:
        figures |= set_distances(shards, 'lite0', shards, 'target_lite0', ('fd_lite0', 'kd_lite0'))
    has_features = shards.find('features', 1) is not None
    kind, names = ('features', ('fid', 'kid')) if has_features else ('identity', ('fd_id', 'kd_id'))
    return figures | set_distances(shards, kind, shards, f'target_{kind}', names)


def _mean(shards: Shards, name: str) -> Tensor:
    """Mean over the samples of an array."""
    return reduce(torch.add, (values.sum(0) for values in shards.each(name))) / shards.count
