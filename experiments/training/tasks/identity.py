"""Training of identity encoders.

The run folder gets learned_from.json, the names of the training identities, and encoder.safetensors, the network without its
margin head. Evaluation refuses the identities that an encoder was trained on.
"""
import json
import sys
from pathlib import Path

from configs.data import RecognitionData, is_training
from configs.schema import RunConfig
from datasets.samples.identities import build_identities
from experiments.evaluation.networks import verification_report
from experiments.training.engine import Engine
from experiments.training.tasks.base import Samples, TrainingTask, report_device
from models.base import Family, FamilyConfig, Perception
from models.perception.build import load_embedder
from models.perception.encoder_files import encoder_bytes, initial_encoder
from models.perception.encoders.family import Recognizer, RecognizerConfig, frame
from models.storage.files import write_bytes

LEARNED_FROM = 'learned_from.json'


def samples(config: RunConfig, model: FamilyConfig, resumed: bool) -> Samples:
    """Single faces. The classes of the margin head are the identities of the training set; validation faces are of other
    identities, which have no class, and are used by the distillation loss alone."""
    data, seed = config.data, config.engine.seed
    names: list[str] = []  # training identities of the initial weights
    assert isinstance(data, RecognitionData) and isinstance(model, RecognizerConfig)
    if model.init and not resumed:
        settings, _, names = initial_encoder(model.init)
        model = model.model_copy(update=settings)
    train = build_identities(data.name, data.root, frame(model), data.partition, seed=seed, augment=data.augment,
                         balanced=data.balanced, exaggerate=data.exaggerate)
    if resumed and model.num_identities != train.num_identities:
        raise ValueError(f'the run was trained on {model.num_identities} identities and the data set holds '
                         f'{train.num_identities}; give the same data')
    validation = build_identities(data.name, data.root, frame(model), data.validation_partition,
                              seed=seed) if model.weights.get('distill') and data.validation_batches else None
    return Samples(model.model_copy(update={'num_identities': train.num_identities}), train, validation, (*train.names, *names))


def perception(config: RunConfig, model: FamilyConfig) -> Perception | None:
    """The teacher of a distillation."""
    if not model.networks() or not config.perception.teacher:
        return None
    teacher = load_embedder(config.perception.teacher)
    return Perception(teacher, teacher)


def initialize(family: Family) -> None:
    """Load the weights of model.init into the network; the head keeps its random weights."""
    assert isinstance(family, Recognizer) and isinstance(family.config, RecognizerConfig)
    if family.config.init:
        state = initial_encoder(family.config.init)[1]
        family.network.load_state_dict({name: state[name] for name in family.network.state_dict()})


def begin(folder: Path, samples: Samples) -> None:
    """Add the names of the training identities to learned_from.json."""
    path = folder / LEARNED_FROM
    earlier = json.loads(path.read_text()) if path.is_file() else ()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, json.dumps(sorted({*samples.identities, *earlier})).encode())


def export(engine: Engine) -> Path:
    """Write encoder.safetensors with the EMA weights."""
    assert isinstance(engine.family, Recognizer)
    path = engine.folder / 'encoder.safetensors'
    with engine.ema.applied():
        write_bytes(path, encoder_bytes(engine.family, json.loads((engine.folder / LEARNED_FROM).read_text())))
    return path


def report(config: RunConfig, file: Path) -> str:
    """Verification on the test partition; for a fold of webcaricature, on the identities outside of it. Where the data set has no
    test identities, a warning is printed to stderr."""
    data = config.data
    assert isinstance(data, RecognitionData)
    fold = is_training(data.partition) and data.partition != 'train' or data.partition.endswith('-test')
    partition = f'{data.partition.removesuffix("-test")}-test' if fold else 'test'
    try:
        return verification_report(str(file), data.name, data.root, partition, seed=config.engine.seed,
                                   device=report_device(config), workers=data.workers)
    except ValueError as error:
        print(f'train.py: {file} is written but not measured: {error}', file=sys.stderr)
        return str(file)


TASK = TrainingTask(samples, perception, initialize, begin, export, report)
