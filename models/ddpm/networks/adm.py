"""ADM U-Net (Dhariwal & Nichol 2021, arXiv:2105.05233); tensor names, shapes and outputs equal to guided-diffusion's."""
import math
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from einops import rearrange
from pydantic import Field
from torch import Tensor, nn

from configs.base import Config
from models.blocks.residual import ConditionedBlocks
from models.conversion.convert import read_state
from models.ddpm.networks.denoiser import Denoiser
from models.ddpm.parameterization import Schedule

_MULTIPLIERS = {512: (0.5, 1, 1, 2, 2, 4, 4), 256: (1, 1, 2, 2, 4, 4), 128: (1, 1, 2, 3, 4), 64: (1, 2, 3, 4)}


ModuleT = TypeVar('ModuleT', bound=nn.Module)


def _zeroed(layer: ModuleT) -> ModuleT:
    """The layer with all parameters 0."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class _Norm(nn.GroupNorm):
    """Group norm of 32 groups, computed in float32."""

    def __init__(self, width: int):
        super().__init__(32, width)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.float()).to(x.dtype)


class _Residual(nn.Module):
    """x (B,I,H,W), emb (B,E) -> (B,O,h,w), resample: scale of the side, 2, 1 or 0.5."""

    def __init__(self, width: int, out: int, emb: int, resample: float = 1):
        super().__init__()
        self.resample = resample
        self.in_layers = nn.Sequential(_Norm(width), nn.SiLU(), nn.Conv2d(width, out, 3, 1, 1))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(emb, 2 * out))
        self.out_layers = nn.Sequential(_Norm(out), nn.SiLU(), nn.Identity(), _zeroed(nn.Conv2d(out, out, 3, 1, 1)))
        self.skip_connection = nn.Conv2d(width, out, 1) if width != out else nn.Identity()

    def resampled(self, x: Tensor) -> Tensor:
        if self.resample == 1:
            return x
        return F.avg_pool2d(x, 2) if self.resample < 1 else F.interpolate(x, scale_factor=2, mode='nearest')

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        norm, activation, conv = self.in_layers
        h = conv(self.resampled(activation(norm(x))))  # (B,O,h,w)
        scale, shift = self.emb_layers(emb)[:, :, None, None].chunk(2, 1)
        norm, *rest = self.out_layers
        h = norm(h) * (1 + scale) + shift
        for layer in rest:
            h = layer(h)
        return self.skip_connection(self.resampled(x)) + h


class _Attention(nn.Module):
    """(B,C,H,W) -> (B,C,H,W); query, key and value of each head are adjacent in qkv."""

    def __init__(self, width: int, head: int):
        super().__init__()
        self.heads = width // head
        self.norm, self.qkv = _Norm(width), nn.Conv1d(width, 3 * width, 1)
        self.proj_out = _zeroed(nn.Conv1d(width, width, 1))

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        flat = x.flatten(2)  # (B,C,L)
        q, k, v = rearrange(self.qkv(self.norm(flat)), 'b (heads qkv c) l -> qkv b heads l c', heads=self.heads, qkv=3)
        h = rearrange(F.scaled_dot_product_attention(q, k, v), 'b heads l c -> b (heads c) l')
        return (flat + self.proj_out(h)).view(x.shape)


class ADMConfig(Config):
    """Config of ADMUNet; the defaults are those of the published FFHQ network of ILVR."""

    image_size: int = Field(256, description='side in pixels: 64, 128, 256 or 512')
    num_channels: int = Field(128, description='base width')
    num_res_blocks: int = Field(1, description='residual blocks per resolution')
    num_head_channels: int = Field(64, description='width of an attention head')
    attention_resolutions: tuple[int, ...] = Field((16,), description='sides in pixels of the maps with attention')
    learn_sigma: bool = Field(True, description='six outputs instead of three')
    schedule: Schedule = Field('linear', description='noise schedule of the training')


class ADMUNet(Denoiser):
    """Predicts eps: noisy image (B,3,H,W), timestep (B,) -> (B,6,H,W), or (B,3,H,W) without learned sigma. Unconditional.
    Raises ValueError for another image size than 64, 128, 256 or 512."""

    def __init__(self, config: ADMConfig):
        super().__init__(config.image_size, learned_sigma=config.learn_sigma, schedule=config.schedule)
        if config.image_size not in _MULTIPLIERS:
            raise ValueError(f'the ADM U-Net takes images of 64, 128, 256 or 512 pixels, not {config.image_size}')
        widths = [int(config.num_channels * factor) for factor in _MULTIPLIERS[config.image_size]]
        self.base, emb, side = config.num_channels, 4 * config.num_channels, config.image_size
        self.time_embed = nn.Sequential(nn.Linear(self.base, emb), nn.SiLU(), nn.Linear(emb, emb))

        def block(width: int, out: int) -> list[nn.Module]:
            attention = [_Attention(out, config.num_head_channels)] if side in config.attention_resolutions else []
            return [_Residual(width, out, emb), *attention]

        width = widths[0]
        self.input_blocks = nn.ModuleList([nn.ModuleList([nn.Conv2d(3, width, 3, 1, 1)])])
        skips = [width]
        for level, out in enumerate(widths):
            for _ in range(config.num_res_blocks):
                self.input_blocks.append(ConditionedBlocks(block(width, out)))
                width = out
                skips.append(width)
            if level + 1 < len(widths):
                self.input_blocks.append(ConditionedBlocks([_Residual(width, width, emb, 0.5)]))
                skips.append(width)
                side //= 2
        self.middle_block = ConditionedBlocks([_Residual(width, width, emb), _Attention(width, config.num_head_channels),
                                               _Residual(width, width, emb)])
        self.output_blocks = nn.ModuleList()
        for level, out in reversed(list(enumerate(widths))):
            for index in range(config.num_res_blocks + 1):
                layers = block(width + skips.pop(), out)
                width = out
                if level and index == config.num_res_blocks:
                    layers.append(_Residual(width, width, emb, 2))
                    side *= 2
                self.output_blocks.append(ConditionedBlocks(layers))
        last = nn.Conv2d(width, 6 if config.learn_sigma else 3, 3, 1, 1)
        nn.init.zeros_(last.weight)
        self.out = nn.Sequential(_Norm(width), nn.SiLU(), last)

    def forward(self, image: Tensor, timestep: Tensor, condition: Any = None) -> Tensor:
        emb = self.time_embed(frequencies(timestep, self.base))
        x = self.input_blocks.get_submodule('0.0')(image)
        skips = [x]
        for blocks in self.input_blocks[1:]:
            x = blocks(x, emb)
            skips.append(x)
        x = self.middle_block(x, emb)
        for blocks in self.output_blocks:
            x = blocks(torch.cat([x, skips.pop()], 1), emb)
        return self.out(x)

    @classmethod
    def load(cls, path: str | Path, config: ADMConfig) -> 'ADMUNet':
        """Load a published checkpoint (.pt or .safetensors) strictly, frozen. Raises ValueError if the tensors do not fit."""
        network = cls(config)
        try:
            network.load_state_dict(read_state(Path(path)))
        except RuntimeError as error:
            raise ValueError(f'{path} does not fit the ADM U-Net for {config.image_size} pixels and {config.num_channels} '
                             'channels: set the config that it was trained with') from error
        return network.eval().requires_grad_(False)


def frequencies(timestep: Tensor, width: int) -> Tensor:
    """Sinusoidal timestep embedding (B,) -> (B,width): cosines, then sines, of `width`/2 frequencies from 1 to nearly 1/10000."""
    rates = torch.exp(-math.log(10000) * torch.arange(width // 2, device=timestep.device) / (width // 2))
    angles = timestep.float()[:, None] * rates
    return torch.cat([angles.cos(), angles.sin()], 1)
