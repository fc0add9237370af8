"""Denoisers that need no condition, by name or by file."""
from pathlib import Path

from models import weights
from models.ddpm.adm import ADMConfig, ADMUNet
from models.ddpm.denoiser import Denoiser
from models.ddpm.published import PublishedUNet
from models.registry import load_family

ZOO, ADM = 'zoo-64', 'adm-ffhq'


def load_denoiser(name: str) -> tuple[Denoiser, str]:
    """A denoiser in eval mode, and the template of models.geometry in which its faces lie.

    name: ZOO, ADM, the family.safetensors of a run (template `face`), a .pt file with weights of ADM's FFHQ network (`ffhq`), or
    a folder in diffusers' format (`celebahq`). ValueError or weights.WeightsError, one sentence, where that cannot be had.
    """
    if name == ZOO and ZOO not in weights.TABLE:
        raise ValueError('the zoo holds no denoiser yet: train one with `python scripts/train.py --family ddpm` and give '
                         'RUN/family.safetensors as --weights')
    path = weights.path(name) if name in weights.TABLE else Path(name)
    if path.is_dir():
        return PublishedUNet.load(path), 'celebahq'
    if not path.is_file():
        raise ValueError(f'{name} is neither a file nor a folder: give {ZOO}, {ADM}, RUN/family.safetensors or a folder that '
                         'diffusers wrote')
    if path.suffix != '.safetensors':
        return ADMUNet.load(path, ADMConfig()), 'ffhq'
    denoiser = getattr(load_family(path, None), 'denoiser', None)
    if denoiser is None:
        raise ValueError(f'{path} holds no diffusion family; give one that `train.py --family ddpm` wrote')
    return denoiser, 'face'
