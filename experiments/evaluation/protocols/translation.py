"""Translation protocol: images of two domains, photos (a) and drawings (b)."""
from dataclasses import dataclass
from pathlib import Path

from datasets.base import SizedDataset
from datasets.loaders import build_pairs
from models.batch import PairBatch


@dataclass(frozen=True)
class TranslationProtocol:
    """The first `count` samples of a data set of pairs."""

    pairs: SizedDataset[PairBatch]
    count: int
    name: str = 'translation'


def translation(root: str | Path | None = None, size: int | None = None, count: int | None = None) -> TranslationProtocol:
    """The test set of WebCaricature or of two-domain folders.

    Args:
        root: folder of the data set; None for rendered pairs with true translations.
        size: side in pixels; 64 where None.
        count: number of pairs; all where None.
    """
    name = 'synthetic' if root is None else 'webcaricature' if (Path(root) / 'OriginalImages').is_dir() else 'unpaired'
    pairs = build_pairs(name, root, size or 64, 'test')
    length = len(pairs)
    return TranslationProtocol(pairs, min(count or length, length))
