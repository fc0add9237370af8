"""Evaluation of swap systems on a protocol.

The metrics of each batch are stored on disk, so memory use does not grow with the protocol and an interrupted evaluation resumes.

    FOLDER/PROTOCOL-HASH/pairs.csv pairs.sha256
                         reference-HASH/000000.npz ...   values independent of the system: embeddings and poses of the pairs
                         rows/NAME-HASH/000000.npz ...   metrics of each pair and features of each swap
                         rows/NAME-HASH/row.json         the row of the results table
"""
import hashlib
import json
import math
import re
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from configs.renamed import renamed_metrics
from datasets.samples.causes import CAUSES, SWITCHES
from datasets.synthetic import IDENTITY
from experiments.evaluation.aggregation import Figure, set_distances, single, spread
from experiments.evaluation.groups import skin_angles, tone
from experiments.evaluation.judges import Judges
from experiments.evaluation.metrics import cost
from experiments.evaluation.metrics import images as image_metrics
from experiments.evaluation.metrics.color import color_difference
from experiments.evaluation.metrics.identity import attribute_accuracy, cosine, identity_ranks, image_ranks, share_within
from experiments.evaluation.protocols.swaps import SwapProtocol
from experiments.evaluation.shards import Shards
from experiments.evaluation.systems import ProtocolBatch, System
from experiments.progress import ProgressBar
from models.batch import collate
from models.perception.parsers.parser import face_mask
from models.pipelines import blend
from models.pose import expression_error, pose_error, shape_error
from models.storage.files import write_bytes
from models.storage.strict_json import json_text

VERSION = 2  # version of the metrics in this module; a change invalidates stored rows
Row = dict[str, Any]  # name, protocol, sha256, pairs, judges, missing, notes, figures


class Evaluation:
    """Evaluation of systems on one protocol with one set of judges.

    Args:
        protocol: pairs to evaluate on.
        judges: networks that compute the metrics.
        folder: folder of the stored lists, shards and rows.
        batch: pairs per batch.
        visible: whether a progress bar is printed.
    """

    def __init__(self, protocol: SwapProtocol, judges: Judges, folder: Path, *, batch: int = 16, visible: bool = True):
        self.protocol, self.judges, self.batch, self.visible = protocol, judges, batch, visible
        self.folder = folder / f'{protocol.name}-{protocol.sha256[:10]}'
        self.key = f'{VERSION} {protocol.sha256} {judges.key} {batch}'
        self.reference = self._shards(self.folder / f'reference-{_short_hash(self.key)}')
        protocol.write(self.folder)

    def _shards(self, folder: Path) -> Shards:
        return Shards(folder, len(self.protocol.names), self.batch)

    def row(self, system: System) -> Row:
        """Row of a system: read from disk where it is stored, else measured.

        Keys: name, protocol, sha256 of the list, pairs (their number), judges (metric -> network), missing (metric -> reason),
        notes, and figures (metric -> mean, deviation, count).
        """
        folder = self._row_folder(system)
        row_file = folder / 'row.json'
        if not row_file.is_file():
            shards = self._shards(folder)
            costs = self._measured(system, shards)
            figures = {**self._per_pair(system), **self._per_set(shards),
                       **{key: single(value) for key, value in costs.items() if value is not None}}
            figures = {name: figure for name, figure in figures.items() if math.isfinite(figure['mean'])}
            write_bytes(row_file, json_text({'system': system.name, 'judges': self.judges.names, 'figures': figures}).encode())
        stored = json.loads(row_file.read_text(encoding='utf-8'))
        return {'name': system.name, 'protocol': self.protocol.name, 'sha256': self.protocol.sha256,
                'pairs': len(self.protocol.names), 'judges': self.judges.names, 'missing': self.judges.missing,
                'notes': self.judges.notes, 'figures': renamed_metrics(stored['figures'])}

    def _row_folder(self, system: System) -> Path:
        name = re.sub(r'[^\w.-]+', '-', system.name)
        return self.folder / 'rows' / f'{name}-{_short_hash(f"{self.key} {system.key}")}'

    def pairs(self, system: System) -> dict[str, Tensor]:
        """Metrics (N,) of the individual pairs. The row of the system must be measured."""
        return self._shards(self._row_folder(system)).per_sample()

    def source_groups(self, groups: dict[str, str] | None = None) -> list[str]:
        """Group of the source of each pair, 'unknown' where it has none.

        Args:
            groups: name of a source -> group; None for the skin tone in the region that the parser labels as skin.
        """
        if groups is not None:
            return [groups.get(source, 'unknown') for source, _ in self.protocol.names]
        angles: dict[str, float] = {}
        for row, (source, _) in enumerate(self.protocol.names):
            if source not in angles:
                image = self.protocol.pairs[row].source[None].to(self.judges.device)
                angles[source] = float(skin_angles(image, _resize_mask(self.judges.labels(image)[:, None].float(), image)[:, 0]))
        return [tone(angles[source]) for source, _ in self.protocol.names]

    def by_group(self, row: Row, system: System, groups: list[str]) -> list[Row]:
        """Rows of a system for each group of pairs in decreasing size, restricted to metrics of individual pairs."""
        pairs, counts = self.pairs(system), Counter(groups)
        rows = []
        for group, count in counts.most_common():
            members = torch.tensor([name == group for name in groups])
            figures = {name: spread(values[members]) for name, values in pairs.items()}
            rows.append({**row, 'name': f'{system.name}, {group}', 'pairs': count,
                         'figures': {name: figure for name, figure in figures.items() if figure['count']}})
        return rows

    # -- Measurement of pairs --------------------------------------------------------------------------------------------

    def _measured(self, system: System, shards: Shards) -> dict[str, float]:
        """Fill the shards; returns the cost metrics of the system."""
        costs = shards.folder / 'costs.json'
        progress_bar = ProgressBar(0, len(self.protocol.names), self.visible)
        progress_bar.print(f'{self.protocol.name}: {system.name}')
        start, measured_pairs = time.monotonic(), 0
        try:
            for rows in shards.parts():
                if not shards.has(rows) or not self.reference.has(rows):
                    pairs = self._protocol_batch(rows)
                    reference = self._reference_values(pairs)
                    swap, seconds = cost.timed(partial(system.swap, pairs))
                    if not costs.is_file():
                        write_bytes(costs, json_text(self._costs(system, pairs, swap)).encode())
                    per_pair = np.full(len(rows), seconds / len(rows))
                    shards.write(rows, {**self._pair_values(pairs, reference, swap), 'seconds': per_pair})
                    measured_pairs += len(rows)
                progress_bar.step(rows[-1] + 1)
                progress_bar.show(rows[-1] + 1, {}, measured_pairs / (time.monotonic() - start))
        finally:
            progress_bar.close()
        return json.loads(costs.read_text(encoding='utf-8'))

    def _protocol_batch(self, rows: range) -> ProtocolBatch:
        batch = collate([self.protocol.pairs[row] for row in rows]).to(self.judges.device)
        source, target = self.judges.labels(torch.cat([batch.source, batch.target])).chunk(2)
        true_parsing = batch.target_parsing
        face = _resize_mask(face_mask(target), batch.target) if true_parsing is None else face_mask(true_parsing)
        return ProtocolBatch(batch, rows, source, target, face)

    def _reference_values(self, pairs: ProtocolBatch) -> dict[str, Tensor]:
        """Values that are independent of the system, computed once per protocol."""
        batch, judges = pairs.batch, self.judges
        if not self.reference.has(pairs.rows):
            upright = {side: judges.upright(images) for side, images in (('source', batch.source), ('target', batch.target))}
            values = {'source': judges.identity(batch.source), 'target': judges.identity(batch.target),
                      'truth': None if batch.truth is None else judges.identity(batch.truth),
                      'pose': judges.pose(batch.target, pairs.target_labels), 'shape': upright['source'],
                      'expression': upright['target'], 'features': judges.features(batch.target),
                      'lite0': judges.lite_features(batch.target),
                      'source_label': batch.source_label, 'target_label': batch.target_label}
            self.reference.write(pairs.rows, values)
        return self.reference.read(pairs.rows)

    @torch.no_grad()
    def _pair_values(self, pairs: ProtocolBatch, reference: dict[str, Tensor], swap: Tensor) -> dict[str, Tensor | None]:
        """Metrics (B,) of each pair, and the features of the swaps."""
        judges, batch, face = self.judges, pairs.batch, pairs.face
        labels = judges.labels(swap)
        identity, upright = judges.identity(swap), judges.upright(swap)
        figures: dict[str, Tensor | None] = {
            'identity': identity, 'features': judges.features(swap), 'lite0': judges.lite_features(swap),
            'pose': pose_error(judges.pose(swap, labels), reference['pose']),
            'sharpness': image_metrics.sharpness(swap, face) / image_metrics.sharpness(batch.target, face),
        }
        if identity is not None:
            figures |= {'id_source': cosine(identity, reference['source']), 'id_target': cosine(identity, reference['target'])}
        if upright is not None:
            figures |= {'expression': expression_error(upright, reference['expression']),
                        'shape': shape_error(upright, reference['shape'])}
        figures |= dict(zip(('color_mean', 'color_deviation'), color_difference(swap, batch.target, face)))
        soft = blend.soften(torch.maximum(face, _resize_mask(face_mask(labels), swap)))
        for prefix, image in (('', swap), ('pasted_', batch.target + soft * (swap - batch.target))):
            figures |= self._image_metrics(image, batch.target, {f'{prefix}whole': None, f'{prefix}background': 1 - face})
        if batch.truth is not None:
            figures |= self._image_metrics(swap, batch.truth, {'truth': None})
            truth_colors = color_difference(batch.truth, batch.target, face)
            figures |= dict(zip(('truth_color_mean', 'truth_color_deviation'), truth_colors))
            if identity is not None:
                figures['truth_id'] = cosine(identity, reference['truth'])
        if judges.causes is not None and self.protocol.causes is not None:
            target_causes = torch.stack([self.protocol.causes(row) for row in pairs.rows])
            figures |= _cause_errors(judges.causes(swap).cpu(), target_causes)
        return figures

    def _image_metrics(self, image: Tensor, reference: Tensor, regions: dict[str, Tensor | None]) -> dict[str, Tensor]:
        """L1, PSNR, SSIM and LPIPS (B,). regions: name -> mask (B,1,H,W) of the compared region, None for the whole image."""
        figures: dict[str, Tensor] = {}
        similarity = image_metrics.ssim_map(image, reference)
        for region, mask in regions.items():
            figures |= {f'{region}_l1': image_metrics.l1(image, reference, mask),
                        f'{region}_psnr': image_metrics.psnr(image, reference, mask),
                        f'{region}_ssim': image_metrics.window_mean(similarity, mask)}
            if self.judges.lpips is not None:
                composited = image if mask is None else reference + mask * (image - reference)
                figures[f'{region}_lpips'] = self.judges.lpips(composited, reference)
        return figures

    def _costs(self, system: System, pairs: ProtocolBatch, swap: Tensor) -> dict[str, float]:
        """Cost metrics of one swap, and the mean difference of two samples of the first batch."""
        costs = {'diversity': float(image_metrics.diversity(torch.stack([swap, system.swap(pairs, seed=1)])).mean())}
        if system.family is not None:
            first = collate([self.protocol.pairs[pairs.rows[0]]]).to(self.judges.device)
            single_pair = ProtocolBatch(first, pairs.rows[:1], pairs.source_labels[:1], pairs.target_labels[:1], pairs.face[:1])
            costs |= {'megabytes': cost.peak_megabytes(self.judges.device), 'parameters': cost.parameters(system.family),
                      'gigaflop': cost.gigaflop(lambda: system.swap(single_pair))}
        return costs

    # -- Aggregation of shards -------------------------------------------------------------------------------------------

    def _per_pair(self, system: System) -> dict[str, Figure]:
        """Mean and standard deviation over the pairs with a finite value."""
        pairs = self.pairs(system)
        figures = {name: spread(values) for name, values in pairs.items()}
        figures['seconds']['mean'] = float(pairs['seconds'].median())
        return {name: figure for name, figure in figures.items() if figure['count']}

    def _per_set(self, shards: Shards) -> dict[str, Figure]:
        """Retrieval, and distances between the sets of swaps and targets."""
        swaps = shards.find('identity')
        figures = {} if swaps is None else {name: single(value) for name, value in self._retrieval(swaps).items()}
        if self.judges.lite is not None:
            figures |= set_distances(shards, 'lite0', self.reference, 'lite0', ('fd_lite0', 'kd_lite0'))
        if self.judges.inception is not None:
            return figures | set_distances(shards, 'features', self.reference, 'features', ('fid', 'kid'))
        return figures | set_distances(shards, 'identity', self.reference, 'target', ('fd_id', 'kd_id'))

    def _retrieval(self, swaps: Tensor) -> dict[str, float]:
        """Retrieval metrics; the pool holds each image of the protocol once."""
        if self.reference.find('source_label') is None:
            return {}
        labels = [self.reference.whole(key) for key in ('source_label', 'target_label')]
        embeddings = [self.reference.whole(key) for key in ('source', 'target')]
        index: dict[str, int] = {}
        rows: list[tuple[int, int]] = []
        for row, pair in enumerate(self.protocol.names):
            for side, name in enumerate(pair):
                if name not in index:
                    index[name] = len(index)
                    rows.append((side, row))
        pool, pool_labels = (torch.stack([sides[side][row] for side, row in rows]) for sides in (embeddings, labels))
        sources = torch.tensor([index[source] for source, _ in self.protocol.names])
        ranks, nearest = (measure(swaps, pool, pool_labels, sources) for measure in (identity_ranks, image_ranks))
        return {'top1': share_within(ranks, 1), 'top5': share_within(ranks, 5), 'nearest': share_within(nearest, 1)}


def _cause_errors(predicted: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Metrics (B,) of predicted and true causes (B,C) in [-1,1]."""
    error, switches = (predicted - target).abs(), [CAUSES.index(name) for name in SWITCHES]
    return {'cause_identity': error[:, :len(IDENTITY)].mean(1), 'cause_attributes': error[:, len(IDENTITY):].mean(1),
            'attributes': attribute_accuracy(predicted[:, switches], target[:, switches])}


def _resize_mask(mask: Tensor, image: Tensor) -> Tensor:
    """Mask (B,1,M,M) resized to the image by nearest neighbor."""
    return F.interpolate(mask, image.shape[-2:], mode='nearest-exact')


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:10]
