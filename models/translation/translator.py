"""Base class of translators between photos and drawings."""
import torch
from torch import Tensor

from models.base import Family
from models.batch import PairBatch


class Translator(Family):
    """A family that translates between photos, domain a, and drawings, domain b. A subclass implements `render`.

    Attributes:
        directions: supported directions, 'a2b' and 'b2a'.
        styled: whether translations have a style, which is sampled or taken from a reference image.
    """

    task = 'translate'
    batch = PairBatch
    directions: tuple[str, ...] = ('a2b', 'b2a')
    styled = False

    def render(self, images: Tensor, direction: str, reference: Tensor | None, generator: torch.Generator | None) -> Tensor:
        """`translate` without its checks and its clamping."""
        raise TypeError(f'{type(self).__name__} does not implement render')

    @torch.no_grad()
    def translate(self, images: Tensor, direction: str = 'a2b', *, reference: Tensor | None = None,
                  generator: torch.Generator | None = None) -> Tensor:
        """Translate images of one domain into the other.

        Args:
            images: (B,3,H,W) in [-1,1].
            direction: 'a2b' or 'b2a'.
            reference: image (1 or B,3,H,W) of the target domain that the style is taken from; without it a style is sampled.
            generator: of the sampled styles.

        Returns:
            (B,3,H,W) in [-1,1].

        Raises:
            ValueError: unsupported direction, or a reference for a system without styles.
        """
        if direction not in self.directions:
            raise ValueError(f'{type(self).__name__} does not translate {direction}; supported: {", ".join(self.directions)}')
        if reference is not None and not self.styled:
            raise ValueError(f'{type(self).__name__} takes no style from a reference image; omit the reference')
        return self.render(images, direction, reference, generator).clamp(-1, 1)

    def generate(self, batch: PairBatch, *, generator: torch.Generator | None = None) -> Tensor:
        """Translation in the first of the directions: (B,3,H,W) in [-1,1]."""
        return self.translate(getattr(batch, self.directions[0][0]), self.directions[0], generator=generator)

    def panel(self, batch: PairBatch) -> dict[str, Tensor]:
        columns: dict[str, Tensor] = {}
        for direction in self.directions:
            images = getattr(batch, direction[0])
            columns |= {direction[0]: images, direction: self.translate(images, direction)}
        return columns
