"""Evaluation of ILVR settings: faithfulness to the reference, identity, variety and cost of samples (Choi et al. 2021)."""
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from configs.resolve import checked
from datasets.loaders import build_swaps
from experiments.ablation.tables import Cell, Row
from experiments.benchmarks.inference import denoiser_figures
from experiments.evaluation.metrics.distribution import Moments, frechet_distance
from experiments.evaluation.metrics.identity import cosine
from experiments.evaluation.metrics.images import masked_mean
from models.ddpm.ilvr import PUBLISHED, ILVRConfig, refine
from models.ddpm.loading import load_denoiser
from models.ddpm.lowpass import low_pass, masked
from models.ddpm.networks.denoiser import Denoiser
from models.ddpm.networks.onnx_export import PortableDenoiser
from models.ddpm.samplers import Step
from models.perception.build import load_embedder
from models.perception.encoders.embedder import Embedder

COLUMNS = ('faithfulness', 'id_reference', 'variety', 'evaluations', 'seconds')
_FEATURE_MAPS = 3  # of the identity encoder, for the variety


@dataclass(frozen=True)
class Samples:
    """images (R,n,3,S,S) in [-1,1], n of each reference; row: the setting's name and
    the figures in COLUMNS."""

    config: ILVRConfig
    images: Tensor
    row: Row


def compare(denoiser: Denoiser, references: Tensor, settings: dict[str, ILVRConfig], embed: Embedder, *, template: str = 'face',
            count: int = 4, seed: int = 0, batch: int = 32, mask: Tensor | None = None, identity: Tensor | None = None,
            callback: Callable[[Step], None] | None = None) -> Iterator[Samples]:
    """`count` samples of each reference (R,3,S,S) in [-1,1] by each of the named settings, with the same noise for all of them.

    template: of the references. mask: (R,1,S,S), where they act. identity: (D,), target embedding of identity guidance instead of
    that of each reference. batch: images at a time.
    """
    embeddings = embed(references, template=template)
    target_embeddings = embeddings if identity is None else identity.expand_as(embeddings)
    chunks = torch.arange(len(references)).split(max(1, batch // count))
    for name, config in settings.items():
        generator, samples, start = torch.Generator(references.device).manual_seed(seed), [], time.perf_counter()
        for chunk in chunks:
            index = chunk.repeat_interleave(count)
            samples.append(refine(
                denoiser, references[index], config, mask=None if mask is None else mask[index],
                embed=lambda images: embed(images, template=template), id_embedding=target_embeddings[index], generator=generator,
                callback=callback))
        if references.is_cuda:
            torch.cuda.synchronize()
        seconds = (time.perf_counter() - start) / (len(references) * count)
        images = torch.cat(samples).unflatten(0, (-1, count))
        figures = {**id_similarity(images, references, embeddings, config.finest, embed, template, mask),
                   'evaluations': config.steps, 'seconds': seconds}
        yield Samples(config, images, Row(name, {measure: Cell(float(value)) for measure, value in figures.items()}))


@torch.no_grad()
def id_similarity(images: Tensor, references: Tensor, embeddings: Tensor, factor: float, embed: Embedder,
                  template: str, mask: Tensor | None = None) -> dict[str, float]:
    """The first of COLUMNS for images (R,n,3,S,S) of references (R,3,S,S) with embeddings (R,D); `variety` only with n
    above 1. mask (R,1,S,S): where the references count."""
    count, flat = images.shape[1], images.flatten(0, 1)
    mask = None if mask is None else mask.repeat_interleave(count, 0)
    gap = masked(low_pass, flat - references.repeat_interleave(count, 0), factor, mask) / 2
    figures = {'faithfulness': masked_mean(gap.square(), mask).sqrt().nanmean(),
               'id_reference': cosine(embed(flat, template=template), embeddings.repeat_interleave(count, 0)).mean()}
    if count > 1:
        figures['variety'] = torch.stack([_apart(value.unflatten(0, (-1, count))) for value in embed.maps(
            flat, _FEATURE_MAPS, template=template)]).mean()
    return {name: float(value) for name, value in figures.items()}


def _apart(maps: Tensor) -> Tensor:
    """Mean over pairs of (R,n,C,h,w), R times n images, of the squared distance of unit vectors at each place: LPIPS with all
    weights 1 (Zhang et al. 2018, eq. 1)."""
    count, units = maps.shape[1], F.normalize(maps, dim=2)
    over_pairs = count * units.square().sum((1, 2)) - units.sum(1).square().sum(1)  # (R,h,w)
    return over_pairs.mean() * 2 / (count * (count - 1))


def against_published(denoiser: Denoiser, references: Tensor, ours: ILVRConfig, embed: Embedder, *, batch: int = 16,
                      small: Denoiser | None = None) -> dict[str, float]:
    """The authors' sampler and ours with one network on references (R,3,S,S) in the template `face`: seconds per image,
    faithfulness, Frechet distance to the references on the identity encoder's features. small: the same network in int8, with
    which ours is run once more."""
    authors = PUBLISHED.model_copy(update={'down': ours.down, 'down_last': ours.down_last, 'until': ours.until})
    real, figures = _moments(embed(references)), {}
    runs = [('published', denoiser, authors), ('ours', denoiser, ours)] + ([('int8', small, ours)] if small else [])
    for name, network, config in runs:
        made, = compare(network, references, {name: config}, embed, count=1, batch=batch)
        cells = made.row.cells
        figures |= {f'{name}: evaluations': cells['evaluations'].mean, f'{name}: s/image': cells['seconds'].mean,
                    f'{name}: low-pass error': cells['faithfulness'].mean}
        if len(references) > 1:
            figures[f'{name}: FD-id'] = frechet_distance(real, _moments(embed(made.images[:, 0])))
    return figures | {f'{name}: times faster': figures['published: s/image'] / figures[f'{name}: s/image']
                      for name, _, _ in runs[1:]}


def sampling(weights: str, data: str | None, root: Path | None, *, images: int, batch: int, **ours) -> dict[str, float]:
    """`evaluating` and `against_published` for a denoiser by name on faces of a data set's test partition, drawn ones without;
    ours: fields of ILVRConfig."""
    config = checked(ILVRConfig, ours)
    denoiser, _ = load_denoiser(weights)
    faces = build_swaps(data or 'synthetic', root, denoiser.size, 'test', same_ratio=1)
    if isinstance(denoiser, PortableDenoiser):
        raise ValueError(f'{weights} is exported already; measure the weights that it was made from')
    if images < 1:
        raise ValueError('--images is a number from 1')
    references = torch.stack([faces[index % len(faces)].target for index in range(images)])
    figures, small = denoiser_figures(denoiser, references, batch=batch)
    embed = load_embedder('identity-mobilefacenet')
    return figures | against_published(denoiser, references, config, embed, batch=batch, small=small)


def _moments(features: Tensor) -> Moments:
    moments = Moments(features.shape[1])
    moments.add(features)
    return moments
