"""Projection heads of CUT (Park et al. 2020, arXiv:2007.15651, appendix C.1)."""
from einops import rearrange
from torch import Tensor, nn

from models.precision import full_precision, normalized


class Projector(nn.Module):
    """A two-layer MLP per feature map, applied to the features at sampled positions.

    Args:
        widths: channels of the maps.
        features: length of the projected vectors.
    """

    def __init__(self, widths: list[int], features: int):
        super().__init__()
        for index, width in enumerate(widths):
            self.add_module(f'mlp_{index}', nn.Sequential(nn.Linear(width, features), nn.ReLU(), nn.Linear(features, features)))

    @full_precision
    def forward(self, maps: list[Tensor], positions: list[Tensor]) -> list[Tensor]:
        """Unit vectors (B,P,features) per map, of maps (B,C,H,W) at flat positions (P,) int64."""
        return [normalized(mlp(rearrange(features, 'b c h w -> b (h w) c')[:, index]), dim=2)
                for mlp, features, index in zip(self.children(), maps, positions)]
