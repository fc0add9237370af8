"""Evaluation of ILVR settings: faithfulness to the reference, identity, variety and cost of samples (Choi et al. 2021)."""
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.evaluation.metrics.identity import cosine
from experiments.evaluation.metrics.images import masked_mean
from experiments.evaluation.tables import Cell, Row
from models.ddpm.ilvr import ILVRConfig, refine
from models.ddpm.lowpass import low_pass, masked
from models.ddpm.networks.denoiser import Denoiser
from models.ddpm.samplers import Step
from models.perception.encoders.embedder import Embedder

COLUMNS = ('faithfulness', 'id_reference', 'variety', 'evaluations', 'seconds')
_VARIETY_MAPS = 3  # number of feature maps of the identity encoder that are compared


@dataclass(frozen=True)
class Samples:
    """Samples of one ILVR setting.

    images: (R,n,3,S,S) in [-1,1], n of each of R references; row: name of the setting and the figures in COLUMNS.
    """

    config: ILVRConfig
    images: Tensor
    row: Row


def compare(denoiser: Denoiser, references: Tensor, settings: dict[str, ILVRConfig], embed: Embedder, *, template: str = 'face',
            count: int = 4, seed: int = 0, batch: int = 32, mask: Tensor | None = None, identity: Tensor | None = None,
            callback: Callable[[Step], None] | None = None) -> Iterator[Samples]:
    """Sample `count` images of each reference with each of the named settings, all from the same noise.

    Args:
        references: (R,3,S,S) in [-1,1].
        settings: name -> ILVR config.
        template: geometry of the references.
        batch: images per batch.
        mask: (R,1,S,S), 1 where the references constrain the samples; None for everywhere.
        identity: (D,), target embedding of identity guidance; None for the embedding of each reference.
        callback: called with each step of the samplers.
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
        figures = {**sample_figures(images, references, embeddings, config.finest, embed, template, mask),
                   'evaluations': config.steps, 'seconds': seconds}
        yield Samples(config, images, Row(name, {measure: Cell(float(value)) for measure, value in figures.items()}))


@torch.no_grad()
def sample_figures(images: Tensor, references: Tensor, embeddings: Tensor, factor: float, embed: Embedder,
                   template: str, mask: Tensor | None = None) -> dict[str, float]:
    """Figures `faithfulness`, `id_reference` and, for n above 1, `variety`.

    Args:
        images: samples (R,n,3,S,S) in [-1,1].
        references: (R,3,S,S) in [-1,1].
        embeddings: embeddings of the references (R,D), unit length.
        factor: downsampling factor of the low-pass.
        template: geometry of the images.
        mask: (R,1,S,S), 1 where faithfulness is measured; None for everywhere.
    """
    count, flat = images.shape[1], images.flatten(0, 1)
    mask = None if mask is None else mask.repeat_interleave(count, 0)
    difference = masked(low_pass, flat - references.repeat_interleave(count, 0), factor, mask) / 2
    figures = {'faithfulness': masked_mean(difference.square(), mask).sqrt().nanmean(),
               'id_reference': cosine(embed(flat, template=template), embeddings.repeat_interleave(count, 0)).mean()}
    if count > 1:
        figures['variety'] = torch.stack([_pairwise_distance(value.unflatten(0, (-1, count))) for value in embed.maps(
            flat, _VARIETY_MAPS, template=template)]).mean()
    return {name: float(value) for name, value in figures.items()}


def _pairwise_distance(maps: Tensor) -> Tensor:
    """Mean over pairs of images of the squared distance of unit feature vectors: LPIPS with all weights 1 (Zhang et al. 2018,
    eq. 1). maps: (R,n,C,h,w), n images of each of R references. Returns a scalar."""
    count, units = maps.shape[1], F.normalize(maps, dim=2)
    over_pairs = count * units.square().sum((1, 2)) - units.sum(1).square().sum(1)  # (R,h,w)
    return over_pairs.mean() * 2 / (count * (count - 1))
