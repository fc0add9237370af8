"""Measures systems by a protocol: batch after batch, each kept on disk as it is done, so that a set of any length passes and
an evaluation that was stopped goes on.

    FOLDER/PROTOCOL-HASH/pairs.csv pairs.sha256
                         reference-HASH/000000.npz ...   what does not depend on the system: identities, poses of the pairs
                         rows/NAME-HASH/000000.npz ...   figures of each pair and features of each swap
                         rows/NAME-HASH/row.json         the row of the table
"""
import hashlib
import json
import math
import re
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from datasets.causes import CAUSES, SWITCHES
from datasets.synthetic import IDENTITY
from experiments.evaluation.groups import skin_angles, tone
from experiments.evaluation.judges import Judges
from experiments.evaluation.metrics import cost
from experiments.evaluation.metrics import images as images
from experiments.evaluation.metrics.distribution import Moments, frechet_distance, kernel_distance, precision_recall
from experiments.evaluation.metrics.identity import attribute_accuracy, cosine, found_within, image_ranks, people_ranks
from experiments.evaluation.protocols.swaps import SwapProtocol
from experiments.evaluation.shards import Shards
from experiments.evaluation.systems import Seen, System
from experiments.training.progress import ProgressBar
from models.batch import collate
from models.files import write_bytes
from models.perception.parsers.parser import face_mask
from models.pipelines import blend
from models.pose import expression_error, pose_error, shape_error
from models.strict_json import json_text

VERSION = 1  # of the figures below: a new one makes rows that were measured before be measured again
_MOST = 5000  # features that enter a kernel distance or precision and recall


class Evaluation:
    """A protocol and its judges. folder: where lists, parts and rows are kept; batch: pairs at a time."""

    def __init__(self, protocol: SwapProtocol, judges: Judges, folder: Path, *, batch: int = 16, visible: bool = True):
        self.protocol, self.judges, self.batch, self.visible = protocol, judges, batch, visible
        self.folder = folder / f'{protocol.name}-{protocol.sha256[:10]}'
        self.key = f'{VERSION} {protocol.sha256} {judges.key} {batch}'
        self.reference = self._shards(self.folder / f'reference-{_short(self.key)}')
        protocol.write(self.folder)

    def _shards(self, folder: Path) -> Shards:
        return Shards(folder, len(self.protocol.names), self.batch)

    def row(self, system: System) -> dict:
        """The row of a system: name, figures {measure: {mean, deviation, count}}, and why others are not measured. A row that was
        measured before is read."""
        place = self._place(system)
        done = place / 'row.json'
        if not done.is_file():
            found = self._shards(place)
            costs = self._measured(system, found)
            figures = {**self._per_pair(system), **self._per_set(found),
                       **{key: single(value) for key, value in costs.items() if value is not None}}
            figures = {name: figure for name, figure in figures.items() if math.isfinite(figure['mean'])}
            write_bytes(done, json_text({'system': system.name, 'judges': self.judges.names, 'figures': figures}).encode())
        return {'name': system.name, 'protocol': self.protocol.name, 'sha256': self.protocol.sha256,
                'pairs': len(self.protocol.names), 'judges': self.judges.names, 'missing': self.judges.missing,
                'notes': self.judges.notes, 'figures': json.loads(done.read_text(encoding='utf-8'))['figures']}

    def _place(self, system: System) -> Path:
        name = re.sub(r'[^\w.-]+', '-', system.name)
        return self.folder / 'rows' / f'{name}-{_short(f"{self.key} {system.key}")}'

    def pairs(self, system: System) -> dict[str, Tensor]:
        """The figures (N,) of each pair, once a row is measured."""
        found = self._shards(self._place(system))
        return {name: found.whole(name) for name, values in found.read(found.parts()[0]).items() if values.dim() == 1}

    def source_groups(self, known: dict[str, str] | None = None) -> list[str]:
        """For each pair the group of its source: what `known` says of the image, 'unknown' where it says nothing; without it
        the tone of the skin, where the parser of the judges sees skin."""
        if known is not None:
            return [known.get(source, 'unknown') for source, _ in self.protocol.names]
        angles: dict[str, float] = {}
        for row, (source, _) in enumerate(self.protocol.names):
            if source not in angles:
                image = self.protocol.pairs[row].source[None].to(self.judges.device)
                angles[source] = float(skin_angles(image, _fitted(self.judges.labels(image)[:, None].float(), image)[:, 0]))
        return [tone(angles[source]) for source, _ in self.protocol.names]

    def by_group(self, row: dict, system: System, groups: list[str]) -> list[dict]:
        """The row of a system once for each group of the pairs, the largest first, with what is measured pair by pair."""
        pairs, counts = self.pairs(system), Counter(groups)
        rows = []
        for group, count in counts.most_common():
            chosen = torch.tensor([name == group for name in groups])
            figures = {name: spread(values[chosen]) for name, values in pairs.items()}
            rows.append({**row, 'name': f'{system.name}, {group}', 'pairs': count,
                         'figures': {name: figure for name, figure in figures.items() if figure['count']}})
        return rows

    # -- One pass over the pairs --------------------------------------------------------------------------------------------

    def _measured(self, system: System, found: Shards) -> dict[str, float]:
        """Fill the shards; returns what the system costs."""
        costs = found.folder / 'costs.json'
        progress_bar = ProgressBar(0, len(self.protocol.names), self.visible)
        progress_bar.say(f'{self.protocol.name}: {system.name}')
        began, done = time.monotonic(), 0
        try:
            for rows in found.parts():
                if not found.has(rows) or not self.reference.has(rows):
                    seen = self._seen(rows)
                    known = self._known(seen)
                    swap, seconds = cost.timed(lambda seen=seen: system.swap(seen))
                    if not costs.is_file():
                        write_bytes(costs, json_text(self._costs(system, seen, swap)).encode())
                    found.write(rows, {**self._judged(seen, known, swap), 'seconds': np.full(len(rows), seconds / len(rows))})
                    done += len(rows)
                progress_bar.step(rows[-1] + 1)
                progress_bar.show(rows[-1] + 1, {}, done / (time.monotonic() - began))
        finally:
            progress_bar.close()
        return json.loads(costs.read_text(encoding='utf-8'))

    def _seen(self, rows: range) -> Seen:
        batch = collate([self.protocol.pairs[row] for row in rows]).to(self.judges.device)
        source, target = self.judges.labels(torch.cat([batch.source, batch.target])).chunk(2)
        known = batch.target_parsing
        face = _fitted(face_mask(target), batch.target) if known is None else face_mask(known)
        return Seen(batch, rows, source, target, face)

    def _known(self, seen: Seen) -> dict[str, Tensor]:
        """What does not depend on the system, computed once."""
        batch, judges = seen.batch, self.judges
        if not self.reference.has(seen.rows):
            upright = {side: judges.upright(images) for side, images in (('source', batch.source), ('target', batch.target))}
            found = {'source': judges.identity(batch.source), 'target': judges.identity(batch.target),
                     'truth': None if batch.truth is None else judges.identity(batch.truth),
                     'pose': judges.pose(batch.target, seen.target_labels), 'shape': upright['source'],
                     'expression': upright['target'], 'features': judges.features(batch.target),
                     'source_label': batch.source_label, 'target_label': batch.target_label}
            self.reference.write(seen.rows, found)
        return self.reference.read(seen.rows)

    @torch.no_grad()
    def _judged(self, seen: Seen, known: dict[str, Tensor], swap: Tensor) -> dict[str, Tensor | None]:
        """Figures (B,) of each pair, and the features of the swaps."""
        judges, batch, face = self.judges, seen.batch, seen.face
        labels = judges.labels(swap)
        identity, upright = judges.identity(swap), judges.upright(swap)
        found = {'identity': identity, 'features': judges.features(swap),
                 'pose': pose_error(judges.pose(swap, labels), known['pose'])}
        found['sharpness'] = images.sharpness(swap, face) / images.sharpness(batch.target, face)
        if identity is not None:
            found |= {'id_source': cosine(identity, known['source']), 'id_target': cosine(identity, known['target'])}
        if upright is not None:
            found |= {'expression': expression_error(upright, known['expression']), 'shape': shape_error(upright, known['shape'])}
        soft = blend.soften(torch.maximum(face, _fitted(face_mask(labels), swap)))
        for prefix, image in (('', swap), ('pasted_', batch.target + soft * (swap - batch.target))):
            found |= self._compared(image, batch.target, {f'{prefix}whole': None, f'{prefix}background': 1 - face})
        if batch.truth is not None:
            found |= self._compared(swap, batch.truth, {'truth': None})
            if identity is not None:
                found['truth_id'] = cosine(identity, known['truth'])
        if judges.causes is not None and self.protocol.causes is not None:
            found |= self._causes(swap, seen.rows)
        return found

    def _compared(self, image: Tensor, wanted: Tensor, places: dict[str, Tensor | None]) -> dict[str, Tensor]:
        """places: name -> mask of where the two are compared, None for everywhere."""
        found, similar = {}, images.ssim_map(image, wanted)
        for place, mask in places.items():
            found |= {f'{place}_l1': images.l1(image, wanted, mask), f'{place}_psnr': images.psnr(image, wanted, mask),
                      f'{place}_ssim': images.window_mean(similar, mask)}
            if self.judges.lpips is not None:
                shown = image if mask is None else wanted + mask * (image - wanted)
                found[f'{place}_lpips'] = self.judges.lpips(shown, wanted)
        return found

    def _causes(self, swap: Tensor, rows: range) -> dict[str, Tensor]:
        found = self.judges.causes(swap).cpu()
        wanted = torch.stack([self.protocol.causes(row) for row in rows])
        error, switches = (found - wanted).abs(), [CAUSES.index(name) for name in SWITCHES]
        return {'cause_identity': error[:, :len(IDENTITY)].mean(1), 'cause_attributes': error[:, len(IDENTITY):].mean(1),
                'attributes': attribute_accuracy(found[:, switches], wanted[:, switches])}

    def _costs(self, system: System, seen: Seen, swap: Tensor) -> dict[str, float]:
        """What one image costs, and how much two samples of the first batch differ."""
        costs = {'diversity': float(images.diversity(torch.stack([swap, system.swap(seen, seed=1)])).mean())}
        if system.family is not None:
            one = Seen(collate([self.protocol.pairs[seen.rows[0]]]).to(self.judges.device), seen.rows[:1],
                       seen.source_labels[:1], seen.target_labels[:1], seen.face[:1])
            costs |= {'megabytes': cost.peak_megabytes(self.judges.device), 'parameters': cost.parameters(system.family),
                      'gigaflop': cost.gigaflop(lambda: system.swap(one))}
        return costs

    # -- From the shards to a row -------------------------------------------------------------------------------------------

    def _per_pair(self, system: System) -> dict[str, dict]:
        """Mean and deviation over the pairs of which a figure could be taken."""
        pairs = self.pairs(system)
        figures = {name: spread(values) for name, values in pairs.items()}
        figures['seconds']['mean'] = float(pairs['seconds'].median())
        return {name: figure for name, figure in figures.items() if figure['count']}

    def _per_set(self, found: Shards) -> dict[str, dict]:
        """Retrieval, and distances of the set of swaps to the set of targets."""
        swaps = found.whole('identity')
        figures = {} if swaps is None else {name: single(value) for name, value in self._retrieval(swaps).items()}
        if self.judges.inception is not None:
            return figures | set_distances(found, 'features', self.reference, 'features', ('fid', 'kid'))
        return figures | set_distances(found, 'identity', self.reference, 'target', ('fd_id', 'kd_id'))

    def _retrieval(self, swaps: Tensor) -> dict[str, float]:
        """The pool holds each image of the list once."""
        people = [self.reference.whole(key) for key in ('source_label', 'target_label')]
        if people[0] is None:
            return {}
        both, places, rows = [self.reference.whole(key) for key in ('source', 'target')], {}, []
        for row, pair in enumerate(self.protocol.names):
            for side, name in enumerate(pair):
                if name not in places:
                    places[name] = len(places)
                    rows.append((side, row))
        pool, shown = (torch.stack([kinds[side][row] for side, row in rows]) for kinds in (both, people))
        sources = torch.tensor([places[source] for source, _ in self.protocol.names])
        ranks, nearest = (measure(swaps, pool, shown, sources) for measure in (people_ranks, image_ranks))
        return {'top1': found_within(ranks, 1), 'top5': found_within(ranks, 5), 'nearest': found_within(nearest, 1)}


def set_distances(fake: Shards, fake_key: str, real: Shards, real_key: str, names: tuple[str, str]) -> dict[str, dict]:
    """Frechet and kernel distance (called `names`), precision and recall of two sets of features; nothing where they are not
    known or too few."""
    few = [shards.whole(key, _MOST) for shards, key in ((fake, fake_key), (real, real_key))]
    if few[0] is None or len(few[0]) < 5:
        return {}
    moments = []
    for shards, key, sample in ((fake, fake_key, few[0]), (real, real_key, few[1])):
        moments.append(Moments(sample.shape[1]))
        for values in shards.each(key):
            moments[-1].add(values)
    mean, deviation = kernel_distance(*few)
    precision, recall = precision_recall(few[1], few[0])
    return {names[0]: single(frechet_distance(*moments)), names[1]: {'mean': mean, 'deviation': deviation, 'count': len(few[0])},
            'precision': single(precision), 'recall': single(recall)}


def spread(values: Tensor) -> dict[str, float]:
    """Mean, deviation and count of the finite values (N,)."""
    values = values[torch.isfinite(values)].double()
    if not len(values):
        return {'mean': float('nan'), 'deviation': float('nan'), 'count': 0}
    return {'mean': float(values.mean()), 'deviation': float(values.std(unbiased=False)), 'count': len(values)}


def single(value: float) -> dict[str, float]:
    """A figure of the whole set."""
    return {'mean': float(value), 'deviation': 0.0, 'count': 1}


def _fitted(mask: Tensor, image: Tensor) -> Tensor:
    """A hard mask (B,1,M,M) at the image's size."""
    return F.interpolate(mask, image.shape[-2:], mode='nearest-exact')


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:10]
