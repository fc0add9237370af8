"""U-Nets in diffusers' format, such as google/ddpm-celebahq-256."""
import json
from pathlib import Path
from typing import Any

from diffusers.models import UNet2DModel
from torch import Tensor

from models.ddpm.networks.denoiser import Denoiser

# The configuration of google/ddpm-celebahq-256 (Ho et al. 2020).
CELEBAHQ_256 = {
    'sample_size': 256, 'in_channels': 3, 'out_channels': 3, 'layers_per_block': 2,
    'block_out_channels': (128, 128, 256, 256, 512, 512),
    'down_block_types': ('DownBlock2D',) * 4 + ('AttnDownBlock2D', 'DownBlock2D'),
    'up_block_types': ('UpBlock2D', 'AttnUpBlock2D') + ('UpBlock2D',) * 4,
    'attention_head_dim': None, 'downsample_padding': 0, 'freq_shift': 1, 'flip_sin_to_cos': False, 'norm_eps': 1e-6,
}
_SETTINGS = 'scheduler_config.json'
_SCHEDULES = {'linear': 'linear', 'squaredcos_cap_v2': 'cosine'}


class PublishedUNet(Denoiser):
    """A UNet2DModel as a denoiser: noisy image (B,3,H,W), timestep (B,) -> (B,3,H,W). Unconditional."""

    def __init__(self, network: UNet2DModel, **declared: Any):
        config = network.config
        super().__init__(config['sample_size'], channels=config['in_channels'],
                         learned_sigma=config['out_channels'] > config['in_channels'], **declared)
        self.network = network

    def forward(self, image: Tensor, timestep: Tensor, condition: Any = None) -> Tensor:
        return self.network(image, timestep).sample

    @classmethod
    def load(cls, folder: str | Path) -> 'PublishedUNet':
        """Load a local folder saved by diffusers, of a network or of a pipeline; frozen.

        Parameterization and schedule are read from the scheduler's config in the folder; without one they are epsilon and
        linear. Raises ValueError if the folder holds no UNet2DModel, or one with an unsupported schedule.
        """
        folder = Path(folder)
        network_folder = folder / 'unet' if (folder / 'unet').is_dir() else folder
        try:
            network = UNet2DModel.from_pretrained(network_folder, local_files_only=True)
        except (OSError, ValueError) as error:
            raise ValueError(f'{folder} holds no UNet2DModel of diffusers ({str(error).splitlines()[0]}); give a folder with '
                             'config.json and diffusion_pytorch_model.safetensors') from error
        settings_files = [path for path in (folder / 'scheduler' / _SETTINGS, folder / _SETTINGS) if path.is_file()]
        settings = json.loads(settings_files[0].read_text(encoding='utf-8-sig')) if settings_files else {}
        levels = [settings.get(name, default) for name, default in (('beta_schedule', 'linear'), ('num_train_timesteps', 1000),
                                                                    ('beta_start', 1e-4), ('beta_end', 0.02))]
        if levels[0] not in _SCHEDULES or levels[1] != 1000 or (levels[0] == 'linear' and levels[2:] != [1e-4, 0.02]):
            raise ValueError(f'{settings_files[0]} has the unsupported noise schedule {levels}; supported: linear (1e-4 to 0.02) '
                             'and cosine, 1000 levels each')
        return cls(network, prediction=settings.get('prediction_type', 'epsilon'),
                   schedule=_SCHEDULES[levels[0]]).eval().requires_grad_(False)
