"""Unconditional denoisers as ONNX files: export, calibration inputs and the onnxruntime denoiser."""
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.ddpm.networks.denoiser import Denoiser
from models.ddpm.parameterization import noised
from models.ddpm.schedules import betas
from models.runtime.sessions import Inputs, Session, export

# Convolutions that stay in float32 in int8 files: they cause four fifths of the int8 error of SwapUNet.
NUM_FLOAT32_CONVOLUTIONS = 3
_METADATA = 'prediction', 'schedule', 'template'


class _Unconditional(nn.Module):
    def __init__(self, denoiser: Denoiser):
        super().__init__()
        self.denoiser = denoiser

    def forward(self, image: Tensor, timestep: Tensor) -> Tensor:
        return self.denoiser(image, timestep)


def export_denoiser(denoiser: Denoiser, template: str, file: Path) -> float:
    """Write a denoiser as ONNX with the inputs image (B,3,S,S) and timestep (B,); the batch may have any size. template:
    alignment of its faces. Returns the largest difference between onnxruntime and PyTorch. Raises ValueError if it is above
    1e-3."""
    def inputs(count: int) -> Inputs:
        rng = torch.Generator().manual_seed(count)
        return {'image': torch.randn(count, denoiser.channels, denoiser.size, denoiser.size, generator=rng),
                'timestep': torch.randint(1000, (count,), generator=rng)}

    metadata = {'prediction': denoiser.prediction, 'schedule': denoiser.schedule, 'template': template}
    return export(_Unconditional(denoiser), inputs, 'prediction', file, metadata)


def noisy(images: Tensor, denoiser: Denoiser, generator: torch.Generator) -> Inputs:
    """Inputs of the exported denoiser from clean images (B,3,S,S), at uniformly sampled noise levels."""
    alphas = torch.cumprod(1 - betas(denoiser.schedule), 0).float()
    timestep = torch.randint(len(alphas), (len(images),), generator=generator)
    noise = torch.randn(images.shape, generator=generator)
    return {'image': noised(images, noise, alphas[timestep][:, None, None, None]), 'timestep': timestep}


class PortableDenoiser(Denoiser):
    """A denoiser in an ONNX file, without gradient. template: alignment of its faces. Raises ValueError if the file holds no
    denoiser."""

    def __init__(self, file: Path, device: str = 'cpu'):
        session = Session(file, device, spin=False)
        if set(session.inputs) != {'image', 'timestep'} or not set(_METADATA) <= set(session.metadata):
            raise ValueError(f'{file} holds no denoiser: write one with `python scripts/export.py --family ddpm -o {file}`')
        size, metadata = int(session.inputs['image'][2]), session.metadata
        super().__init__(size, prediction=metadata['prediction'], schedule=metadata['schedule'])
        self.session, self.template = session, metadata['template']

    def forward(self, image: Tensor, timestep: Tensor, condition: Any = None) -> Tensor:
        """As Denoiser.forward. Raises ValueError for a condition other than None."""
        if condition is not None:
            raise ValueError('an exported denoiser is unconditional: swap with the weights that it was exported from')
        return self.session(image=image, timestep=timestep).to(image)
