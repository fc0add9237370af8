"""Weights that can be chosen in the tabs, and a cache of loaded networks."""
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import torch

from app.results import local_weights, perception_of
from models import weights
from models.base import Perception
from models.cgan.published import load_generator
from models.ddpm.loading import ADM, load_denoiser
from models.ddpm.networks.denoiser import Denoiser
from models.perception.build import PHOTO_PARSER, build_perception, load_embedder, load_parser
from models.perception.detection import Detector, build_detector
from models.perception.encoders.embedder import Embedder
from models.perception.parsers.parser import FaceParser
from models.pipelines.photo import FaceSwapper, PhotoSwapper
from models.pipelines.simswap import CROP_TEMPLATES, load_simswap, weight_files
from models.pipelines.translate import TranslatorFamily, load_translator
from models.registry import SWAPPERS, TRANSLATORS, load_family
from models.runtime.fusion import fused

_PUBLISHED = 'published weights'
_DEFAULT_PARSER = 'parsing-unet'
_CACHED_PER_KIND = 2  # loaded networks of each kind, enough to compare two


@dataclass(frozen=True)
class WeightsChoice:
    """Weights that can be loaded. files: the first one holds the weights of the family."""

    family: str
    files: tuple[Path, ...]

    @property
    def mtime_ns(self) -> int:
        """Modification time of the weights, part of the cache key: the weights of a run that is still trained are read again."""
        return self.files[0].stat().st_mtime_ns


class Networks:
    """Weights in the zoo and in folders of results, and loaded networks.

    roots: folders of results. device: device of the networks. Loading raises ValueError or models.weights.WeightsError.
    """

    def __init__(self, roots: list[Path], device: str):
        self.roots, self.device = roots, device
        cached = lru_cache(maxsize=_CACHED_PER_KIND)
        self._swapper, self._translator = cached(self._load_swapper), cached(self._load_translator)
        self._denoiser, self._perception = cached(self._load_denoiser), cached(self._load_perception)

    @cached_property
    def detector(self) -> Detector:
        """Face detector of all tabs."""
        return build_detector('mtcnn', self.device)

    @cached_property
    def embed(self) -> Embedder:
        """Embedder for the identity guidance and the evaluation of ILVR samples."""
        return load_embedder('identity-mobilefacenet').to(self.device)

    @cached_property
    def parser(self) -> FaceParser:
        """Face parser on the CPU, for single images of data sets."""
        return load_parser(_DEFAULT_PARSER)

    def swappers(self) -> dict[str, dict[str, WeightsChoice]]:
        """Family -> name of weights -> files. All swap families are listed, also those without weights."""
        empty: dict[str, dict[str, WeightsChoice]] = {family: {} for family in SWAPPERS}
        choices = empty | self._local(SWAPPERS)
        for name in CROP_TEMPLATES:
            with suppress(weights.MissingWeights):
                if all(path.is_file() for path in weight_files(name)):
                    choices[name] = {_PUBLISHED: WeightsChoice(name, tuple(weight_files(name)))}
        return choices

    def translators(self) -> dict[str, dict[str, WeightsChoice]]:
        """Family -> name of weights -> files, of the translation families that have weights."""
        return self._local(TRANSLATORS)

    def denoisers(self) -> dict[str, WeightsChoice]:
        """Name of weights -> files."""
        choices = self._local(('ddpm',)).get('ddpm', {})
        if weights.entry(ADM).path.is_file():
            choices[ADM] = WeightsChoice(ADM, (weights.entry(ADM).path,))
        return choices

    def swapper(self, choice: WeightsChoice, color: bool) -> PhotoSwapper:
        """color: match the colors of the target."""
        return self._swapper(choice, choice.mtime_ns, color)

    def translator(self, choice: WeightsChoice) -> tuple[TranslatorFamily, Perception]:
        """The family and its perception."""
        return self._translator(choice, choice.mtime_ns)

    def denoiser(self, choice: WeightsChoice) -> tuple[Denoiser, str]:
        """The denoiser and the name of the template of its images."""
        return self._denoiser(choice, choice.mtime_ns)

    def _local(self, families: tuple[str, ...]) -> dict[str, dict[str, WeightsChoice]]:
        return {family: {name: WeightsChoice(family, (file,)) for name, file in files.items()}
                for family, files in local_weights(self.roots, families).items()}

    def _load_perception(self, id_encoder: str, parser: str | None) -> Perception:
        return build_perception(id_encoder, None, parser).to(self.device)

    def _perception_for(self, choice: WeightsChoice, parser: str = _DEFAULT_PARSER) -> Perception:
        """The perception of the weights. parser: replaces the default parser, or none, in their config."""
        config = perception_of(choice.files[0])
        return self._perception(config.id_encoder, parser if config.parser in (None, _DEFAULT_PARSER) else config.parser)

    def _load_swapper(self, choice: WeightsChoice, mtime_ns: int, color: bool) -> PhotoSwapper:
        if choice.family in CROP_TEMPLATES:
            generator = fused(load_generator(choice.family)).to(self.device).to(memory_format=torch.channels_last)
            return load_simswap(choice.family, generator.swap, self.detector, device=self.device)
        perception = self._perception_for(choice, PHOTO_PARSER)
        family = load_family(choice.files[0], perception).to(self.device)
        return FaceSwapper(family, perception, self.detector, device=self.device, color=color)

    def _load_translator(self, choice: WeightsChoice, mtime_ns: int) -> tuple[TranslatorFamily, Perception]:
        perception = self._perception_for(choice)
        return load_translator(choice.files[0], perception).to(self.device), perception

    def _load_denoiser(self, choice: WeightsChoice, mtime_ns: int) -> tuple[Denoiser, str]:
        denoiser, template = load_denoiser(str(choice.files[0]), self.device)
        return denoiser.to(memory_format=torch.channels_last), template
