"""Translation protocol: images of two domains, photos (a) and drawings (b)."""
from collections.abc import Sized
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from torch.utils.data import Dataset

from datasets.loaders import build_pairs
from models.batch import PairBatch


@dataclass(frozen=True)
class TranslationProtocol:
    """The first `count` samples of a data set of pairs."""

    pairs: Dataset[PairBatch]
    count: int
    name: str = 'translation'


def translation(root: str | Path | None = None, size: int | None = None, count: int | None = None) -> TranslationProtocol:
    """The test set of WebCaricature or of two-domain folders.

    Args:
        root: of the data set; None for rendered pairs with true translations.
        size: side in pixels; 64 where None.
        count: number of pairs; all where None.
    """
    name = 'synthetic' if root is None else 'webcaricature' if (Path(root) / 'OriginalImages').is_dir() else 'unpaired'
    pairs = build_pairs(name, root, size or 64, 'test')
    length = len(cast(Sized, pairs))
    return TranslationProtocol(pairs, min(count or length, length))
