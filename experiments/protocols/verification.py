"""Verification of a face recognition network on people that it has not learnt from."""
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, Subset

from experiments.metrics.verification import all_pairs, verification
from models.batch import collate


@torch.no_grad()
def verify(embed: Callable[[Tensor], Tensor], people: Dataset, *, device: str | torch.device = 'cpu', batch: int = 64,
           workers: int = 0, most: int = 4000) -> dict[str, float]:
    """The figures of experiments.metrics.verification over all pairs of at most `most` pictures, spread evenly over the list.

    embed: (B,3,H,W) in [-1,1] -> (B,D); people gives FaceBatch samples. Also returned: pictures and people that took part.
    """
    rows = np.unique(np.linspace(0, len(people) - 1, min(most, len(people))).round().astype(int)).tolist()
    found, persons = [], []
    for faces in DataLoader(Subset(people, rows), batch, num_workers=workers, collate_fn=collate):
        found.append(F.normalize(embed(faces.pictures.to(device)).float(), dim=1).cpu())
        persons.append(faces.person)
    persons = torch.cat(persons)
    return {**verification(*all_pairs(torch.cat(found), persons)), 'pictures': len(persons), 'people': len(persons.unique())}
