"""Training of swap families."""
from configs.data import SwapData
from configs.schema import RunConfig
from datasets.loaders import build_swaps
from experiments.training.tasks.base import Samples, TrainingTask
from models.base import FamilyConfig
from models.perception.build import fingerprint


def samples(config: RunConfig, model: FamilyConfig, resumed: bool) -> Samples:
    """Pairs of a source and a target."""
    data, seed = config.data, config.engine.seed
    assert isinstance(data, SwapData)
    for network, setting in (('reverser', 'model.reversed'), ('distillation_teacher', 'model.weights.distillation')):
        if network in model.networks() and getattr(config.perception, network) is None:
            raise ValueError(f'{setting} needs a trained swapper: name one as perception.{network}, or set {setting}=0')
    encoder = fingerprint(config.perception.id_encoder)
    train = build_swaps(data.name, data.root, model.size, data.partition, same_ratio=data.same_ratio,
                        reversed_ratio=data.reversed, seed=seed, augment=data.augment, encoder=encoder)
    validation = build_swaps(data.name, data.root, model.size, data.validation_partition, same_ratio=data.same_ratio, seed=seed,
                             encoder=encoder) if data.validation_batches else None
    return Samples(model, train, validation)


TASK = TrainingTask(samples)
