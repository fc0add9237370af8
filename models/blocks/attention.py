"""Self-attention over the positions of a feature map (SAGAN; Zhang et al. 2019, arXiv:1805.08318)."""
from collections.abc import Callable

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn


class SelfAttention(nn.Module):
    """Self-attention of SAGAN (eq. 1-3): (B,C,H,W) -> (B,C,H,W), x + gamma * attention(x).

    Position i attends to position j with softmax over j of f(x_i) . g(x_j), without the factor 1/sqrt(d) of transformers. Values
    are h(x_j). f and g have C/8 channels. With gamma = 0 the block is the identity function.

    Args:
        channels: C, at least 8.
        pooled: max-pool g and h 2x2, with C/2 channels of h, which a fourth convolution expands to C; a quarter of the cost.
        wrap: applied to each convolution, such as models.blocks.spectral.spectral.
        gamma: initial value of the learned scalar.
        names: names of f, g and h in the state dict.

    Raises:
        ValueError: fewer than 8 channels.
    """

    def __init__(self, channels: int, *, pooled: bool = False, wrap: Callable[[nn.Conv2d], nn.Module] = lambda conv: conv,
                 gamma: float = 0.0, names: tuple[str, str, str] = ('conv_f', 'conv_g', 'conv_h')):
        super().__init__()
        if channels < 8:
            raise ValueError(f'self-attention needs at least 8 channels, not {channels}')
        inner, value = channels // 8, channels // 2 if pooled else channels
        self.gamma = nn.Parameter(torch.tensor([gamma]))
        for name, width in zip(names, (inner, inner, value), strict=True):
            self.add_module(name, wrap(nn.Conv2d(channels, width, 1)))
        self.out = wrap(nn.Conv2d(value, channels, 1)) if pooled else nn.Identity()
        self.pooled, self.names = pooled, names

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (self.get_submodule(name)(x) for name in self.names)
        if self.pooled:
            key, value = F.max_pool2d(key, 2), F.max_pool2d(value, 2)
        query, key, value = (rearrange(y, 'b c h w -> b (h w) c') for y in (query, key, value))  # (B,HW,C/8), (B,N,C/8), (B,N,V)
        attended = F.scaled_dot_product_attention(query, key, value, scale=1.0)  # (B,HW,V)
        return x + self.gamma * self.out(rearrange(attended, 'b (h w) v -> b v h w', h=x.shape[2]))
