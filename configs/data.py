"""Settings of the data set and of its batches: one section per task, with the fields that the samples of the task depend on."""
from typing import Literal

from pydantic import Field

from configs.base import Config, needing

_TRAINING_DISK = 'images of a training partition on disk'


def is_training(partition: str) -> bool:
    """Whether a partition is used for training: `train`, or a training fold of webcaricature."""
    return partition not in ('all', 'validation', 'test') and not partition.endswith('-test')


class DataConfig(Config):
    """Fields of every section."""

    batch: int = Field(16, ge=1, description='samples per process and micro-batch')
    workers: int = Field(2, ge=0, description='loader processes; 0 loads in the training process')
    validation_batches: int = Field(4, ge=0, description='number of fixed validation batches; 0 disables validation')

    @property
    def images_per_batch(self) -> int:
        """Images of a micro-batch."""
        return self.batch


class PartitionedData(DataConfig):
    """Fields of the sections whose data sets have partitions."""

    root: str | None = Field(None, description='folder of the data set; None for rendered faces')
    partition: str = Field('train', description='partition that is trained on')
    validation_partition: str = Field('validation', description='partition of the validation batches')
    augment: bool = Field(True, description='random augmentation of the training images')

    def ignored(self) -> dict[str, str]:
        return needing('data.validation_batches above 0', self.validation_batches, 'validation_partition')


class NamedData(PartitionedData):
    """Fields of the sections that choose among the data sets of datasets.loaders."""

    name: str = Field('synthetic', description='data set: synthetic, unpaired, or a name of datasets.registry.FACES')

    @property
    def on_disk(self) -> bool:
        """Whether the data set is read from `root`."""
        return self.name != 'synthetic'

    def ignored(self) -> dict[str, str]:
        return {**super().ignored(), **needing('a data set on disk', self.on_disk, 'root')}


class SwapData(NamedData):
    """Pairs of a source and a target (models.batch.SwapBatch)."""

    same_ratio: float = Field(0.5, ge=0, le=1, description='fraction of pairs that show one identity')
    reversed: float = Field(0.0, ge=0, le=1, description='fraction of samples that are reversed pairs, whose target is a swap '
                                                         'of another identity onto a real image, the expected output')

    def ignored(self) -> dict[str, str]:
        augmented = self.on_disk and self.partition in ('train', 'all')
        return {**super().ignored(), **needing(_TRAINING_DISK, augmented, 'augment'),
                **needing('a cache with reversed pairs (data.name=cache)', self.name == 'cache', 'reversed')}


class MatchingConfig(Config):
    """Histogram matching between an unpaired photo and drawing."""

    space: Literal['none', 'rgb', 'hsv', 'hls'] = Field('none', description='color space of the matched histograms; none: off')
    to_a: float = Field(0.5, ge=0, le=1, description='probability that b is matched to a instead of a to b')
    ratio: float = Field(1.0, ge=0, le=1, description='interpolation weight of the matched image')


class PairData(NamedData):
    """Pairs of a photo and a drawing (models.batch.PairBatch)."""

    crops: float = Field(0.0, ge=0, le=1, description='fraction of unpaired images cropped to a random square of 0.748 to 1 area')
    matching: MatchingConfig = Field(MatchingConfig(), description='histogram matching of unpaired images')

    def ignored(self) -> dict[str, str]:
        domains = 'photos and drawings on disk (data.name=unpaired or webcaricature)'
        train, matched = self.on_disk and self.partition == 'train', self.on_disk and self.matching.space != 'none'
        return {**super().ignored(), **needing(_TRAINING_DISK, train, 'augment'),
                **needing(f'{domains}, their partition train, and data.augment=true', train and self.augment, 'crops'),
                **needing(domains, self.on_disk, 'matching.space'),
                **needing(f'{domains} and data.matching.space', matched, 'matching.to_a', 'matching.ratio')}


class RecognitionData(NamedData):
    """Single faces with identity labels (models.batch.FaceBatch)."""

    balanced: bool = Field(False, description='batches of a photo and a drawing per identity (webcaricature)')
    exaggerate: float = Field(0.0, ge=0, le=3, description='extrapolation of features from the mean face; 1: twice as far')

    @property
    def images_per_batch(self) -> int:
        return self.batch * (2 if self.balanced else 1)

    def ignored(self) -> dict[str, str]:
        train = self.on_disk and is_training(self.partition)
        return {**super().ignored(), **needing(_TRAINING_DISK, train, 'augment', 'exaggerate'),
                **needing('the training partition of webcaricature', train and self.name == 'webcaricature', 'balanced')}


class ParsingData(PartitionedData):
    """Faces with label maps (models.batch.ParsingBatch)."""

    root: str | None = Field(None, description='folders with label maps, separated by os.pathsep; rendered faces are added')


class CauseData(DataConfig):
    """Rendered faces with their rendering parameters (models.batch.CauseBatch)."""


# task (models.base.Task) -> its section
SECTIONS: dict[str, type[DataConfig]] = {
    'swap': SwapData, 'translate': PairData, 'identity': RecognitionData, 'parsing': ParsingData, 'causes': CauseData,
}
# Classes in the order in which `section_of` compares them with the keys of a stored section.
AnyData = CauseData | ParsingData | SwapData | PairData | RecognitionData


def section_of(keys: set[str]) -> type[DataConfig]:
    """The class of a stored section with these keys: the first one of AnyData that has all of them as fields, else SwapData."""
    classes = AnyData.__args__
    return next((section for section in classes if keys <= section.model_fields.keys()), SwapData)
