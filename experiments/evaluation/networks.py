"""Reports of perception networks by task: identity encoders, face parsers, regressors of rendering parameters."""
from pathlib import Path

from safetensors import SafetensorError, safe_open

from configs.reading import shown
from datasets.samples.identities import build_identities
from datasets.samples.parsing import ParsingSource, RenderedFaces, parsing_subsets
from experiments.evaluation.protocols.causes import measure_causes
from experiments.evaluation.protocols.parsing import measure
from experiments.evaluation.protocols.verification import verify
from models import weights
from models.base import Task
from models.perception.build import EMBEDDERS, PARSERS, load_embedder, load_parser
from models.perception.causes import load_causes
from models.perception.encoder_files import load_encoder
from models.perception.parsers.family import load_trained

CAUSES_WEIGHTS = 'causes'  # name in models.weights
PARSER_SIZE_PX = 128  # side of the images that parsers are measured on
_TASKS: dict[str, Task] = {'parsing-unet': 'parsing', 'causes': 'causes'}  # by `network` in the metadata of an exported file


def network_task(source: str) -> Task:
    """Task of a published network or of an exported file. Raises ValueError for other files and names."""
    if not Path(source).is_file():
        if source in EMBEDDERS:
            return 'identity'
        if source in PARSERS:
            return 'parsing'
        if source == CAUSES_WEIGHTS:
            return 'causes'
        raise ValueError(f'{shown(source)} is neither a file nor a published network; known: '
                         f'{", ".join([*EMBEDDERS, *PARSERS, CAUSES_WEIGHTS])}')
    try:
        with safe_open(source, 'pt') as handle:
            metadata = handle.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ValueError(f'{source} cannot be read as safetensors ({shown(error)}); give a file that train.py wrote') from error
    if 'recognizer' in metadata:
        return 'identity'
    if metadata.get('network') in _TASKS:
        return _TASKS[metadata['network']]
    raise ValueError(f'{source} holds no perception network; give the encoder.safetensors, parser.safetensors or '
                     'causes.safetensors of a run')


def verification_report(source: str, data: str, root: str | None, partition: str = 'test', *, seed: int = 0, device: str = 'cpu',
                        workers: int = 0) -> str:
    """Verification metrics of an identity encoder over all pairs of a partition, as one line.

    Args:
        source: a name of EMBEDDERS, or an encoder.safetensors.
        data, root, partition: as for datasets.samples.identities.build_identities.
        seed: seed of rendered faces.
        device: device of the network.
        workers: loader processes.

    Raises:
        ValueError: the file or the data set does not fit, or the partition is empty.
    """
    if Path(source).is_file():
        embedder, template = load_encoder(source)
    else:
        embedder, template = load_embedder(source), EMBEDDERS[source][1]['template']
    faces = build_identities(data, root, embedder.template, partition, seed=seed)
    embedder.to(device)
    row = verify(lambda images: embedder(images, template=template), faces, device=device, workers=workers)
    figures = [f'{key} {value:.4f}' if isinstance(value, float) else f'{value} {key}' for key, value in row.items()]
    return f'{source}: {", ".join(figures)}'


def parsing_report(source: str, roots: list[str], partition: str = 'test', *, device: str = 'cpu') -> str:
    """IoU of a face parser on each subset of each folder and on rendered faces, one line each.

    Args:
        source: a name of PARSERS, or a parser.safetensors.
        roots: folders with label maps (datasets.samples.parsing).
        partition: partition of the images; 'all' for all images.
        device: device of the network.

    Raises:
        ValueError: the file or a folder does not fit, or the partition of a folder is empty.
    """
    parser = load_trained(source) if Path(source).is_file() else load_parser(source)
    parser.to(device)
    sources: dict[str, ParsingSource] = {}
    for root in roots:
        sources.update(parsing_subsets(root, PARSER_SIZE_PX, partition))
    sources['synthetic'] = RenderedFaces('test' if partition == 'all' else partition, PARSER_SIZE_PX)
    lines = []
    for title, faces in sources.items():
        row = measure(parser, faces, device=device)
        parts = ', '.join(f'{part} {iou:.3f}' for part, iou in row['parts'].items())
        lines.append(f'{source} on {title}: face {row["face"]:.4f}, {row["images"]} images ({parts})')
    return '\n'.join(lines)


def causes_report(source: str, *, device: str = 'cpu') -> str:
    """Errors of a regressor of rendering parameters on rendered test faces, as one line. Raises ValueError for other files."""
    file = source if Path(source).is_file() else weights.path(source)
    row = measure_causes(load_causes(file).to(device), device=device)
    worst = ', '.join(f'{name} {ratio:.2f}' for name, ratio in row['worst'].items())
    return (f'{source}: identity error {row["cause_identity"]:.3f} (predicting the mean: {row["guess"]["cause_identity"]:.3f}), '
            f'attribute error {row["cause_attributes"]:.3f} ({row["guess"]["cause_attributes"]:.3f}), accuracy of switches '
            f'{row["attributes"]:.3f}, on {row["images"]} test faces; largest errors relative to the mean: {worst}')
