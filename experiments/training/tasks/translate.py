"""Training of families that translate between photos and drawings."""
from configs.data import PairData
from configs.schema import RunConfig
from datasets.loaders import build_pairs
from datasets.transforms.matching import Matching
from experiments.training.tasks.base import Samples, TrainingTask
from models.base import FamilyConfig


def samples(config: RunConfig, model: FamilyConfig, resumed: bool) -> Samples:
    """Pairs of a photo and a drawing."""
    data, seed = config.data, config.engine.seed
    assert isinstance(data, PairData)
    train = build_pairs(data.name, data.root, model.size, data.partition, seed=seed, augment=data.augment, crops=data.crops,
                        matching=Matching(**data.matching.model_dump()))
    validation = build_pairs(data.name, data.root, model.size, data.validation_partition,
                             seed=seed) if data.validation_batches else None
    return Samples(model, train, validation)


TASK = TrainingTask(samples)
