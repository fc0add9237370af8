"""Networks that the tabs share: what can be chosen, and loaded ones, of which a few are kept."""
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import torch

from app.results import perception_of, weights_here
from models import weights
from models.base import Family, Perception
from models.cgan.published import load_generator
from models.ddpm.loading import ADM, load_denoiser
from models.ddpm.networks.denoiser import Denoiser
from models.perception.build import PHOTO_PARSER, build_perception, load_embedder, load_parser
from models.perception.detection import build_detector
from models.perception.encoders.embedder import Embedder
from models.pipelines.photo import FaceSwapper, PhotoSwapper
from models.pipelines.simswap import CROP_TEMPLATES, load_simswap, weight_files
from models.pipelines.translate import load_translator
from models.registry import SWAPPERS, TRANSLATORS, load_family
from models.runtime.fusion import fused

_PUBLISHED = 'as published'


@dataclass(frozen=True)
class Chosen:
    """name: of the family. files: what is read, the first of them the weights."""

    name: str
    files: tuple[Path, ...]


class Networks:
    """roots: folders of results whose runs can be chosen; device: where networks run."""

    def __init__(self, roots: list[Path], device: str):
        self.roots, self.device = roots, device
        # One of each kind is enough for somebody who compares two; a run that is trained further is read again.
        self._swapper, self._translator, self._denoiser = (lru_cache(maxsize=2)(load) for load in (
            self._load_swapper, self._load_translator, self._load_denoiser))
        self._perception = lru_cache(maxsize=2)(self._load_perception)

    @cached_property
    def detector(self):
        return build_detector('mtcnn', self.device)

    @cached_property
    def embed(self) -> Embedder:
        """Embedder for the identity guidance and the evaluation of ILVR samples."""
        return load_embedder('identity-mobilefacenet').to(self.device)

    @cached_property
    def parser(self):
        """Face parser on the CPU, for single images of data sets."""
        return load_parser('parsing-unet')

    def swappers(self) -> dict[str, dict[str, Chosen]]:
        """Family -> name of weights -> what is read; a family without weights has none."""
        found = {family: {} for family in SWAPPERS} | self._found(SWAPPERS)
        for name in CROP_TEMPLATES:
            with suppress(weights.MissingWeights):
                if all(path.is_file() for path in weight_files(name)):
                    found[name] = {_PUBLISHED: Chosen(name, tuple(weight_files(name)))}
        return found

    def translators(self) -> dict[str, dict[str, Chosen]]:
        """As `swappers`, of translators."""
        return self._found(TRANSLATORS)

    def denoisers(self) -> dict[str, Chosen]:
        """Name -> what is read."""
        found = self._found(('ddpm',)).get('ddpm', {})
        if weights.entry(ADM).path.is_file():
            found[ADM] = Chosen(ADM, (weights.entry(ADM).path,))
        return found

    def swapper(self, chosen: Chosen, color: bool) -> PhotoSwapper:
        """ValueError or models.weights.WeightsError, one sentence, where it cannot be had; so for the others."""
        return self._swapper(chosen, _stamp(chosen), color)

    def translator(self, chosen: Chosen) -> tuple[Family, Perception]:
        return self._translator(chosen, _stamp(chosen))

    def denoiser(self, chosen: Chosen) -> tuple[Denoiser, str]:
        return self._denoiser(chosen, _stamp(chosen))

    def _found(self, families: tuple[str, ...]) -> dict[str, dict[str, Chosen]]:
        return {family: {name: Chosen(family, (file,)) for name, file in files.items()}
                for family, files in weights_here(self.roots, families).items()}

    def _load_perception(self, identity: str, parser: str | None) -> Perception:
        return build_perception(identity, None, parser).to(self.device)

    def _seen_with(self, chosen: Chosen, parser: str = 'parsing-unet') -> Perception:
        """parser: instead of the usual one or none."""
        trained = perception_of(chosen.files[0])
        return self._perception(trained.id_encoder, parser if trained.parser in (None, 'parsing-unet') else trained.parser)

    def _load_swapper(self, chosen: Chosen, stamp: int, color: bool) -> PhotoSwapper:
        if chosen.name in CROP_TEMPLATES:
            generator = fused(load_generator(chosen.name)).to(self.device, memory_format=torch.channels_last)
            return load_simswap(chosen.name, generator.swap, self.detector, device=self.device)
        perception = self._seen_with(chosen, PHOTO_PARSER)
        family = load_family(chosen.files[0], perception).to(self.device)
        return FaceSwapper(family, perception, self.detector, device=self.device, color=color)

    def _load_translator(self, chosen: Chosen, stamp: int) -> tuple[Family, Perception]:
        perception = self._seen_with(chosen)
        return load_translator(chosen.files[0], perception).to(self.device), perception

    def _load_denoiser(self, chosen: Chosen, stamp: int) -> tuple[Denoiser, str]:
        denoiser, template = load_denoiser(str(chosen.files[0]), self.device)
        return denoiser.to(memory_format=torch.channels_last), template


def _stamp(chosen: Chosen) -> int:
    return chosen.files[0].stat().st_mtime_ns
