"""Training of the face parser. The run folder gets parser.safetensors."""
import os
from pathlib import Path

from configs.data import ParsingData
from configs.schema import RunConfig
from datasets.samples.parsing import build_parsing
from experiments.evaluation.networks import parsing_report
from experiments.training.engine import Engine
from experiments.training.tasks.base import Samples, TrainingTask, no_networks, report_device
from models.base import Family, FamilyConfig
from models.perception.build import PARSERS, file_of
from models.perception.parsers.family import ParserTraining, ParserTrainingConfig, load_network, parser_bytes
from models.storage.files import write_bytes


def _roots(data: ParsingData) -> list[str]:
    return data.root.split(os.pathsep) if data.root else []


def samples(config: RunConfig, model: FamilyConfig, resumed: bool) -> Samples:
    """Faces with label maps of all folders, and rendered faces."""
    data, seed = config.data, config.engine.seed
    assert isinstance(data, ParsingData) and isinstance(model, ParserTrainingConfig)
    train = build_parsing(_roots(data), model.size, partition=data.partition, seed=seed, augment=data.augment,
                          occluded=model.occluded)
    validation = build_parsing(_roots(data), model.size, partition=data.validation_partition, seed=seed, augment=False)
    return Samples(model, train, validation if data.validation_batches else None)


def initialize(family: Family) -> None:
    """Load the weights of model.init."""
    assert isinstance(family, ParserTraining) and isinstance(family.config, ParserTrainingConfig)
    init = family.config.init
    if init:
        family.network.load_state_dict(load_network(file_of(init) if init in PARSERS else init).state_dict())


def export(engine: Engine) -> Path:
    """Write parser.safetensors with the EMA weights."""
    assert isinstance(engine.family, ParserTraining)
    path = engine.folder / 'parser.safetensors'
    with engine.ema.applied():
        write_bytes(path, parser_bytes(engine.family))
    return path


def report(config: RunConfig, file: Path) -> str:
    """IoU on the test images of each folder and on rendered faces."""
    assert isinstance(config.data, ParsingData)
    return parsing_report(str(file), _roots(config.data), 'test', device=report_device(config))


TASK = TrainingTask(samples, no_networks, initialize, export=export, report=report)
