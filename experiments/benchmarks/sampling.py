"""Speed and faithfulness of ILVR sampling in its published form and in the suite's, with one denoiser."""
from pathlib import Path

import torch
from torch import Tensor

from configs.resolve import checked
from datasets.loaders import build_swaps
from experiments.benchmarks.inference import denoiser_figures
from experiments.evaluation.ilvr import compare
from experiments.evaluation.metrics.distribution import Moments, frechet_distance
from models.ddpm.ilvr import PUBLISHED, ILVRConfig
from models.ddpm.loading import load_denoiser
from models.ddpm.networks.denoiser import Denoiser
from models.ddpm.networks.onnx_export import PortableDenoiser
from models.perception.build import load_embedder
from models.perception.encoders.embedder import Embedder


def ilvr_figures(denoiser: Denoiser, references: Tensor, ours: ILVRConfig, embed: Embedder, *, batch: int = 16,
                 int8_denoiser: Denoiser | None = None) -> dict[str, float]:
    """Evaluations, seconds per image, faithfulness and FD-id of the published sampler and of the suite's.

    Both have the same low-pass and range. FD-id is the Frechet distance to the references on features of the identity encoder.

    Args:
        references: (R,3,S,S) in [-1,1] in the template `face`.
        ours: config of the suite's sampler.
        batch: images per batch.
        int8_denoiser: the denoiser in int8, for a further run of the suite's sampler.
    """
    published = PUBLISHED.model_copy(update={'down': ours.down, 'down_last': ours.down_last, 'until': ours.until})
    real = _moments(embed(references))
    runs = [('published', denoiser, published), ('ours', denoiser, ours)]
    if int8_denoiser is not None:
        runs.append(('int8', int8_denoiser, ours))
    figures: dict[str, float] = {}
    for name, network, config in runs:
        samples, = compare(network, references, {name: config}, embed, count=1, batch=batch)
        cells = samples.row.cells
        figures |= {f'{name}: evaluations': cells['evaluations'].mean, f'{name}: s/image': cells['seconds'].mean,
                    f'{name}: low-pass error': cells['faithfulness'].mean}
        if len(references) > 1:
            figures[f'{name}: FD-id'] = frechet_distance(real, _moments(embed(samples.images[:, 0])))
    return figures | {f'{name}: times faster': figures['published: s/image'] / figures[f'{name}: s/image']
                      for name, _, _ in runs[1:]}


def sampling_figures(weights: str, data: str | None, root: Path | None, *, images: int, batch: int,
                     **ours: object) -> dict[str, float]:
    """`denoiser_figures` and `ilvr_figures` of a denoiser on faces of a test partition.

    Args:
        weights: name of published weights, or file of a run, as for models.ddpm.loading.load_denoiser.
        data: data set of the references; None for rendered faces.
        root: folder of the data set.
        images: number of samples, cycling through the references.
        batch: images per batch.
        ours: fields of ILVRConfig for the suite's sampler.

    Raises:
        ValueError: the weights are those of an exported denoiser, or `images` is below 1.
    """
    config = checked(ILVRConfig, ours)
    denoiser, _ = load_denoiser(weights)
    faces = build_swaps(data or 'synthetic', root, denoiser.size, 'test', same_ratio=1)
    if isinstance(denoiser, PortableDenoiser):
        raise ValueError(f'{weights} is an exported denoiser; give the weights that it was exported from')
    if images < 1:
        raise ValueError('--images must be at least 1')
    count = len(faces)
    references = torch.stack([faces[index % count].target for index in range(images)])
    figures, int8_denoiser = denoiser_figures(denoiser, references, batch=batch)
    embed = load_embedder('identity-mobilefacenet')
    return figures | ilvr_figures(denoiser, references, config, embed, batch=batch, int8_denoiser=int8_denoiser)


def _moments(features: Tensor) -> Moments:
    moments = Moments(features.shape[1])
    moments.add(features)
    return moments
