"""Unconditional denoisers by name or by file."""
from pathlib import Path

from models import weights
from models.ddpm.networks.adm import ADMConfig, ADMUNet
from models.ddpm.networks.denoiser import Denoiser
from models.ddpm.networks.onnx_export import PortableDenoiser
from models.ddpm.networks.published import PublishedUNet
from models.registry import load_family

ZOO, ADM = 'zoo-64', 'adm-ffhq'


def load_denoiser(name: str, device: str = 'cpu') -> tuple[Denoiser, str]:
    """A denoiser in eval mode on a device, and the name of the template of models.geometry that its faces are aligned to.

    name: ZOO, ADM, the family.safetensors of a run (template `face`), a .pt file with weights of ADM's FFHQ network (`ffhq`), a
    folder in diffusers' format (`celebahq`), or an .onnx file of scripts/export.py. Raises ValueError or weights.WeightsError if
    the denoiser cannot be loaded.
    """
    entry = 'ddpm' if name == ZOO else name
    path = weights.path(entry) if entry in weights.TABLE else Path(name)
    if path.is_dir():
        return PublishedUNet.load(path).to(device), 'celebahq'
    if not path.is_file():
        raise ValueError(f'{name} is neither a file nor a folder: give {ZOO}, {ADM}, RUN/family.safetensors or a folder in '
                         "diffusers' format")
    if path.suffix == '.onnx':
        portable = PortableDenoiser(path, device)
        return portable, portable.template
    if path.suffix != '.safetensors':
        return ADMUNet.load(path, ADMConfig()).to(device), 'ffhq'
    denoiser = getattr(load_family(path, None), 'denoiser', None)
    if denoiser is None:
        raise ValueError(f'{path} holds no diffusion family; give one that `train.py --family ddpm` wrote')
    return denoiser.to(device), 'face'
