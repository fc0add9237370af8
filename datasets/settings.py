"""Dependence of batches on the settings of DataConfig."""
from configs.schema import DataConfig
from models.batch import CauseBatch, FaceBatch, PairBatch, ParsingBatch, SwapBatch

_DISK = 'a data set on disk'
_TRAIN = 'images of a training partition on disk'
_DOMAINS = 'photos and drawings on disk (data.name=unpaired or webcaricature)'
# setting -> its requirement
_NEEDS = {
    'name': 'a script that chooses among data sets',
    'root': _DISK,
    'same_ratio': 'a family that swaps faces',
    'partition': 'a data set with partitions',
    'validation_partition': 'a data set with partitions, and data.validation_batches above 0',
    'augment': _TRAIN,
    'crops': f'{_DOMAINS}, their partition train, and data.augment=true',
    'balanced': 'the training of an encoder on the training partition of webcaricature',
    'exaggerate': 'the training of an encoder on a training partition on disk',
    'matching.space': _DOMAINS,
    'matching.to_a': f'{_DOMAINS} and data.matching.space',
    'matching.ratio': f'{_DOMAINS} and data.matching.space',
}


def is_training(partition: str) -> bool:
    """Whether a partition is used for training: `train`, or a training fold of webcaricature."""
    return partition not in ('all', 'validation', 'test') and not partition.endswith('-test')


def ignored_data(batch: type, data: DataConfig) -> dict[str, str]:
    """The settings of `data` that batches of type `batch` do not depend on: name (without `data.`) -> reason."""
    used = {'name', 'partition', *(('validation_partition',) if data.validation_batches else ())}
    disk, train = data.name != 'synthetic', data.partition == 'train'
    if batch is CauseBatch:
        used = set()
    elif batch is ParsingBatch:
        used = used - {'name'} | {'root', 'augment'}
    elif disk:
        used.add('root')
    if batch is SwapBatch:
        used |= {'same_ratio', *(('augment',) if disk and data.partition in ('train', 'all') else ())}
    elif batch is PairBatch and disk:
        used |= {'matching.space', *(('augment',) if train else ()), *(('crops',) if train and data.augment else ()),
                 *(('matching.to_a', 'matching.ratio') if data.matching.space != 'none' else ())}
    elif batch is FaceBatch and disk and is_training(data.partition):
        used |= {'augment', 'exaggerate', *(('balanced',) if data.name == 'webcaricature' else ())}
    return {name: f'it needs {what}' for name, what in _NEEDS.items() if name not in used}
