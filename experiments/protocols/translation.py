"""Translation between two domains, photos (a) and drawings (b): distances to the wanted domain, identity kept, edges, colours,
diversity, and the difference to the true answer where the pairs are true ones."""
import hashlib
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from experiments.evaluation import set_distances, single, spread
from experiments.judges import Judges
from experiments.metrics.identity import cosine
from experiments.metrics.pictures import diversity, l1, ssim
from experiments.metrics.translation import colour_distance, colour_histogram, edge_agreement
from experiments.shards import Shards
from models.base import Family
from models.batch import collate

DIRECTIONS = ('a2b', 'b2a')
# pictures (B,3,H,W) in [-1,1], one of DIRECTIONS, seed -> pictures of the same shape
Translate = Callable[[Tensor, str, int], Tensor]


def translator(family: Family) -> Translate:
    """A family's `translate` (models.translation.translator), asked by seed. ValueError where the family has none."""
    if not hasattr(family, 'translate'):
        raise ValueError(f'{type(family).__name__} swaps faces and translates nothing; give a run of a translation family')
    return lambda pictures, direction, seed: family.translate(
        pictures, direction, generator=torch.Generator(pictures.device).manual_seed(seed))


def keep(pictures: Tensor, direction: str, seed: int) -> Tensor:
    """The sanity row: no translation."""
    return pictures


@torch.no_grad()
def measure_translation(name: str, key: str, translate: Translate, pairs: Dataset, judges: Judges, folder: Path, *,
                        directions: tuple[str, ...] = DIRECTIONS, count: int | None = None, batch: int = 16) -> list[dict]:
    """A row per direction, in the form of experiments.evaluation. pairs: PairBatch samples, of which the first `count` are taken;
    key: what the pictures of `translate` depend on. Batches are kept in `folder`, so that what was stopped goes on."""
    count, rows = min(count or len(pairs), len(pairs)), []
    for direction in directions:
        stamp = hashlib.sha256(f'{key} {judges.key} {count} {batch}'.encode()).hexdigest()[:10]
        shards = Shards(folder / f'{name}-{direction}-{stamp}', count, batch)
        for part in shards.parts():
            if not shards.has(part):
                found = collate([pairs[row] for row in part]).to(judges.device)
                shards.write(part, _judged(found, direction, translate, judges, part.start))
        rows.append({'name': f'{name} {direction}', 'pairs': count, 'protocol': 'translation', 'judges': judges.names,
                     'missing': judges.missing, 'notes': judges.notes, 'figures': _figures(shards)})
    return rows


def _judged(batch, direction: str, translate: Translate, judges: Judges, seed: int) -> dict:
    source, wanted = (batch.a, batch.b) if direction == 'a2b' else (batch.b, batch.a)
    made = translate(source, direction, seed)
    again = translate(source, direction, seed + 1)
    found = {'edges': edge_agreement(source, made), 'diversity': diversity(torch.stack([made, again])),
             'identity': judges.identity(made), 'features': judges.features(made), 'wanted_features': judges.features(wanted),
             'wanted_identity': judges.identity(wanted), 'colours': colour_histogram(made),
             'wanted_colours': colour_histogram(wanted)}
    if found['identity'] is not None:
        found['id_source'] = cosine(found['identity'], judges.identity(source))
    if batch.paired.all():
        found |= {'truth_l1': l1(made, wanted), 'truth_ssim': ssim(made, wanted)}
    return found


def _figures(shards: Shards) -> dict[str, dict]:
    first = shards.read(shards.parts()[0])
    figures = {name: spread(shards.whole(name)) for name, values in first.items() if values.dim() == 1}
    means = [sum(values.sum(0) for values in shards.each(name)) / shards.count for name in ('colours', 'wanted_colours')]
    figures['colour_distance'] = single(colour_distance(*means))
    kind, names = ('features', ('fid', 'kid')) if 'features' in first else ('identity', ('fd_id', 'kd_id'))
    return figures | set_distances(shards, kind, shards, f'wanted_{kind}', names)
