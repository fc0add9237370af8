"""Denoisers as ONNX files: without a condition, as ILVR uses them."""
from pathlib import Path

import torch
from torch import Tensor, nn

from models.ddpm.networks.denoiser import Denoiser
from models.ddpm.parameterization import noised
from models.ddpm.schedules import betas
from models.runtime.sessions import Inputs, Session, export

SPARED = 3  # for models.runtime.sessions.quantise: these make four fifths of what int8 does to our U-Net, and little of its work
_FACTS = 'prediction', 'schedule', 'template'


class _Unconditional(nn.Module):
    def __init__(self, denoiser: Denoiser):
        super().__init__()
        self.denoiser = denoiser

    def forward(self, image: Tensor, timestep: Tensor) -> Tensor:
        return self.denoiser(image, timestep)


def export_denoiser(denoiser: Denoiser, template: str, file: Path) -> float:
    """Write a denoiser as ONNX with the inputs image (B,3,S,S) and timestep (B,); the batch may have any size. template: of the
    faces that it draws. Returns the largest difference between onnxruntime and PyTorch; ValueError where it is above 1e-3."""
    def inputs(count: int) -> Inputs:
        random = torch.Generator().manual_seed(count)
        return {'image': torch.randn(count, denoiser.channels, denoiser.size, denoiser.size, generator=random),
                'timestep': torch.randint(1000, (count,), generator=random)}

    facts = {'prediction': denoiser.prediction, 'schedule': denoiser.schedule, 'template': template}
    return export(_Unconditional(denoiser), inputs, 'prediction', file, facts)


def noisy(images: Tensor, denoiser: Denoiser, generator: torch.Generator) -> Inputs:
    """What the exported form is given for clean images (B,3,S,S), at noise levels all along the way."""
    alphas = torch.cumprod(1 - betas(denoiser.schedule), 0).float()
    timestep = torch.randint(len(alphas), (len(images),), generator=generator)
    noise = torch.randn(images.shape, generator=generator)
    return {'image': noised(images, noise, alphas[timestep][:, None, None, None]), 'timestep': timestep}


class PortableDenoiser(Denoiser):
    """The denoiser of an ONNX file; gradients do not pass through it. template: of the faces that it draws. ValueError where the
    file holds no denoiser."""

    def __init__(self, file: Path, device: str = 'cpu'):
        session = Session(file, device, patient=True)
        if set(session.inputs) != {'image', 'timestep'} or not set(_FACTS) <= set(session.notes):
            raise ValueError(f'{file} holds no denoiser: write one with `python scripts/export.py --family ddpm -o {file}`')
        size, notes = int(session.inputs['image'][2]), session.notes
        super().__init__(size, prediction=notes['prediction'], schedule=notes['schedule'])
        self.session, self.template = session, notes['template']

    def forward(self, image: Tensor, timestep: Tensor, condition=None) -> Tensor:
        """As of every denoiser. ValueError where it is told a condition."""
        if condition is not None:
            raise ValueError('an exported denoiser was never told a condition: swap with the weights that it was made from')
        return self.session(image=image, timestep=timestep).to(image)
