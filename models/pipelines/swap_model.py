"""Face-swapping models by the name of a family, a file of weights, or the name of a published SimSwap."""
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path
from typing import Any

import torch
from torch import nn

from configs.renamed import renamed_settings
from configs.resolve import checked, merge, parse_override
from models import weights
from models.base import Family, Perception
from models.perception.build import load_parser
from models.perception.detection import Detector
from models.pipelines.io.provenance import GenerationInfo
from models.pipelines.onnx_export import OnnxFamily, SwapSession, export_family, export_generator
from models.pipelines.photo import SWAP_DESCRIPTION
from models.pipelines.simswap import CROP_TEMPLATES, SimSwapper, load_simswap, weight_files
from models.registry import SWAPPER, load_family
from models.runtime.fusion import fused
from models.runtime.sessions import open_temporary


@dataclass(frozen=True)
class SwapModel:
    """A face-swapping model.

    Args:
        load_generator: loads the generator of a published SimSwap by its name.
        family: swap family whose zoo weights are used if `weights` is None.
        weights: family.safetensors of a run, ONNX file of scripts/export.py, or a published SimSwap, a name of
            models.pipelines.simswap.CROP_TEMPLATES.
        runtime: 'torch' or 'onnx', which exports the generator and runs it by onnxruntime.
        sampling: KEY=VALUE overrides of the sampling settings of the family ddpm.
        device: torch device of the networks.
    """

    load_generator: Callable[[str], nn.Module]
    family: str = SWAPPER
    weights: str | None = None
    runtime: str = 'torch'
    sampling: Sequence[str] = ()
    device: str = 'cpu'

    @property
    def simswap(self) -> str | None:
        """The name of the published SimSwap, None for other models."""
        return self.weights if self.weights in CROP_TEMPLATES else None

    @property
    def file(self) -> Path:
        """The file of the weights of a family. Raises ValueError if the zoo has none."""
        if self.weights:
            return Path(self.weights)
        if self.family not in weights.TABLE:
            raise ValueError(f'the zoo has no weights of the family {self.family}: train it with `python scripts/train.py '
                             f'--family {self.family}` and give the family.safetensors of the run as --weights')
        return weights.path(self.family)

    @property
    def info(self) -> GenerationInfo:
        """Content Credentials of images by this model."""
        if self.simswap:
            return GenerationInfo.of(self.simswap, weight_files(self.simswap), SWAP_DESCRIPTION)
        return GenerationInfo.of(self.file.stem if self.weights else self.family, [self.file], SWAP_DESCRIPTION)

    def open_session(self, perception: Perception) -> SwapSession | None:
        """The generator as an onnxruntime session; None with the runtime 'torch'. perception: networks on the CPU. Raises
        ValueError if a file holds no swap generator."""
        if self.weights and self.weights.endswith('.onnx'):
            return SwapSession(Path(self.weights), self.device)
        if self.runtime == 'torch':
            return None
        if self.simswap:
            return open_temporary(partial(export_generator, self.load_generator(self.simswap)), self.device, SwapSession)
        return open_temporary(partial(export_family, self._trained(perception)), self.device, SwapSession)

    def load(self, perception: Perception, session: SwapSession | None = None) -> Family:
        """The family on `device`. session: result of `open_session`. Raises ValueError if the weights are not of a swap family or
        the family has no sampling settings."""
        family = OnnxFamily(session, perception) if session else self._trained(perception)
        return family.to(self.device)

    def load_simswap(self, detector: Detector, session: SwapSession | None = None, *, parsing_mask: bool = False) -> SimSwapper:
        """The published SimSwap on `device`.

        Args:
            session: result of `open_session`.
            parsing_mask: restrict the swap to the face region of BiSeNet.

        Raises:
            models.weights.WeightsError: missing weights.
        """
        assert self.simswap
        generator: Any = session or fused(self.load_generator(self.simswap)).to(self.device).to(memory_format=torch.channels_last)
        parser = load_parser('bisenet').to(self.device) if parsing_mask else None
        return load_simswap(self.simswap, generator.swap, detector, device=self.device, parser=parser)

    def _trained(self, perception: Perception) -> Family:
        family = load_family(self.file, perception)
        if family.task != 'swap':
            raise ValueError(f'{self.file} holds a {type(family).__name__}, a translation family: use scripts/translate.py')
        if self.sampling:
            defaults = getattr(family.config, 'sampling', None)
            if defaults is None:
                raise ValueError('--sampling sets the sampler of the family ddpm; a '
                                 f'{type(family).__name__} generates in one step')
            overrides = (renamed_settings(parse_override(text), parents=('sampling',)) for text in self.sampling)
            settings = reduce(merge, overrides, defaults.model_dump())
            family.config = family.config.model_copy(update={'sampling': checked(type(defaults), settings, 'sampling.')})
        return family
