"""Encoder files: safetensors with the config of the recognizer and the identities of its training in the metadata."""
import json
from collections.abc import Iterable
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from configs.reading import parse_json, shown
from configs.renamed import renamed_metadata, renamed_settings
from configs.resolve import checked
from models.conversion.convert import read_state
from models.perception.encoders.embedder import Embedder
from models.perception.encoders.family import NETWORKS, Recognizer, RecognizerConfig, frame
from models.perception.published import EMBEDDERS, file_of, published
from models.weights_table import ZOO

# entries of EMBEDDERS -> names of NETWORKS
_ARCHITECTURES = {'identity-mobilefacenet': 'mobilefacenet', 'identity-caricature': 'mobilefacenet',
                  'mobilefacenet-068': 'mobilefacenet-96', 'sphere20a': 'sphere20'}


def encoder_bytes(recognizer: Recognizer, identity_names: Iterable[str] | None = None) -> bytes:
    """The network without head as safetensors, with its config in the metadata and the tensor names of the published network.
    identity_names: identities of its training, None if they are unknown."""
    state = {name: value.detach().cpu().contiguous() for name, value in recognizer.network.state_dict().items()}
    names = None if identity_names is None else sorted(map(str, identity_names))
    return save(state, {'recognizer': recognizer.config.model_dump_json(), 'learned_from': json.dumps(names)})


def initial_encoder(source: str) -> tuple[dict, dict[str, Tensor], list[str]]:
    """Initial state of a training from a name of EMBEDDERS or an encoder file: settings of RecognizerConfig, named tensors, and
    the names of the identities of its training, empty if a published network does not list them. Raises ValueError if a file
    does not list them, and the errors of load_embedder."""
    if Path(source).is_file():
        config, names = _config(source), training_identities(source)
        if names is None:
            raise ValueError(f'{source} does not list its training identities; train it again')
        return config.model_dump(include={'network', 'size', 'embedding'}), read_state(Path(source)), names
    state = published(source).state_dict()
    architecture = f'iresnet{source.rpartition("-r")[2]}' if source.startswith('arcface-') else _ARCHITECTURES[source]
    settings = {'network': architecture, 'size': 112, 'embedding': 128 if 'mobile' in architecture else 512}
    return settings, state, training_identities(source) or []


def _metadata(path: str | Path) -> dict[str, str]:
    """Metadata of a safetensors file. Raises ValueError for another file."""
    try:
        with safe_open(path, 'pt') as handle:
            return renamed_metadata(handle.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise ValueError(f'{path} cannot be read as safetensors ({shown(error)}); give the encoder.safetensors of a run'
                         ) from error


def _encoder_metadata(path: str | Path) -> dict[str, str]:
    """Metadata of a file of encoder_bytes. Raises ValueError for another file."""
    if 'recognizer' not in (metadata := _metadata(path)):
        raise ValueError(f'{path} does not name its network; give an encoder.safetensors of a run')
    return metadata


def _config(path: str | Path) -> RecognizerConfig:
    """The config in a file of encoder_bytes. Raises ValueError for another file."""
    settings = parse_json(_encoder_metadata(path)['recognizer'], f'the config in {path}')
    if isinstance(settings, dict):
        settings = renamed_settings(settings, 'recognizer', ('model',), warn=Path(path).parent != ZOO, file=path)
    return checked(RecognizerConfig, settings)


def training_identities(source: str | Path) -> list[str] | None:
    """Names of all identities in the training of an encoder file or of one of EMBEDDERS, None if they are not listed.
    Raises the errors of load_encoder and load_embedder."""
    if source in EMBEDDERS and file_of(source).suffix != '.safetensors':
        return None
    metadata = _metadata(file_of(source)) if source in EMBEDDERS else _encoder_metadata(source)
    names = parse_json(metadata.get('learned_from', 'null'), f'the list of identities in {source}')
    if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise ValueError(f'{source} does not list its training identities by name; train it again')
    return names


def load_encoder(path: str | Path) -> tuple[Embedder, str]:
    """A frozen embedder from a file of encoder_bytes, and the name of its template. Raises ValueError for another file."""
    config, state = _config(path), read_state(Path(path))
    build, template, preprocessing = NETWORKS[config.network]
    aligned_to = frame(config)
    try:
        network = build(config.size, config.embedding)
        network.load_state_dict(state)
    except RuntimeError as error:  # tensors of other names or shapes, or too large for the memory
        raise ValueError(f'{path} does not fit the config in its metadata ({shown(error)}); train it again') from error
    return Embedder(network, aligned_to, **preprocessing), template
