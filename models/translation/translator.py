"""What the translators have in common."""
import torch
from torch import Tensor

from models.base import Family
from models.batch import PairBatch


class Translator(Family):
    """A family that translates between photos, domain a, and drawings, domain b.

    directions: those that the system knows. styled: whether a reference image or chance gives a translation its style.
    A subclass writes `draw`.
    """

    batch = PairBatch
    directions: tuple[str, ...] = ('a2b', 'b2a')
    styled = False

    def training_embedders(self) -> set[str]:
        return set()

    def render(self, images: Tensor, direction: str, reference: Tensor | None, generator: torch.Generator | None) -> Tensor:
        """translate, without its checks."""
        raise TypeError(f'{type(self).__name__} translates nothing')

    @torch.no_grad()
    def translate(self, images: Tensor, direction: str = 'a2b', *, reference: Tensor | None = None,
                  generator: torch.Generator | None = None) -> Tensor:
        """(B,3,H,W) in [-1,1] of one domain -> the same of the other. reference (B,3,H,W) gives the style; without it `generator`
        draws one. ValueError where the system lacks the direction, or takes no reference."""
        if direction not in self.directions:
            raise ValueError(f'{type(self).__name__} does not translate {direction}; it knows {", ".join(self.directions)}')
        if reference is not None and not self.styled:
            raise ValueError(f'{type(self).__name__} takes no style from a reference image; leave the reference away')
        return self.render(images, direction, reference, generator).clamp(-1, 1)

    def generate(self, batch: PairBatch, *, generator: torch.Generator | None = None) -> Tensor:
        """The translation in the first of the directions."""
        return self.translate(getattr(batch, self.directions[0][0]), self.directions[0], generator=generator)

    def panel(self, batch: PairBatch) -> dict[str, Tensor]:
        shown = {}
        for direction in self.directions:
            images = getattr(batch, direction[0])
            shown |= {direction[0]: images, direction: self.translate(images, direction)}
        return shown
