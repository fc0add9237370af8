"""Training of the regressor of rendering parameters. The run folder gets causes.safetensors."""
from pathlib import Path

from configs.schema import RunConfig
from datasets.samples.causes import RenderedCauses
from experiments.evaluation.networks import causes_report
from experiments.training.engine import Engine
from experiments.training.tasks.base import Samples, TrainingTask, no_networks, report_device
from models.base import FamilyConfig
from models.perception.causes import CauseTraining, causes_bytes
from models.storage.files import write_bytes


def samples(config: RunConfig, model: FamilyConfig, resumed: bool) -> Samples:
    """Rendered faces with their parameters."""
    validation = RenderedCauses('validation', model.size) if config.data.validation_batches else None
    return Samples(model, RenderedCauses('train', model.size, seed=config.engine.seed), validation)


def export(engine: Engine) -> Path:
    """Write causes.safetensors with the EMA weights."""
    assert isinstance(engine.family, CauseTraining)
    path = engine.folder / 'causes.safetensors'
    with engine.ema.applied():
        write_bytes(path, causes_bytes(engine.family))
    return path


def report(config: RunConfig, file: Path) -> str:
    """Errors on rendered faces of the test split."""
    return causes_report(str(file), device=report_device(config))


TASK = TrainingTask(samples, no_networks, export=export, report=report)
