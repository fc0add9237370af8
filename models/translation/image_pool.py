"""History of generated images for discriminators (Shrivastava et al. 2017, arXiv:1612.07828, section 2.3)."""
import torch
from torch import Tensor


class ImagePool:
    """Mixes earlier generated images into those that a discriminator is trained on.

    `images` is the whole state, in order of arrival. Random numbers come from the global CPU generator.

    Args:
        size: largest number of stored images; 0 disables the pool.
    """

    def __init__(self, size: int):
        self.size = size
        self.images: list[Tensor] = []

    def exchange(self, fakes: Tensor) -> Tensor:
        """Store images and return as many.

        Until the pool is full, each image is stored and returned. After that, with probability 1/2, it replaces a random image of
        the pool, which is returned instead.

        Args:
            fakes: (B,3,H,W).

        Returns:
            (B,3,H,W) without gradient.
        """
        exchanged = []
        for fake in fakes.detach():
            if len(self.images) < self.size:
                self.images.append(fake.clone())
            elif self.size and torch.rand(()) < 0.5:
                index = int(torch.randint(self.size, ()))
                self.images[index], fake = fake.clone(), self.images[index]
            exchanged.append(fake)
        return torch.stack(exchanged)
