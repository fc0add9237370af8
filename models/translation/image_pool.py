"""A memory of generated images."""
import torch
from torch import Tensor


class ImagePool:
    """Past fakes that a discriminator sees among the new ones (Shrivastava et al. 2017, section 2.3). `images` is its whole
    state, in the order in which they came; chance is drawn from the global generator of the CPU."""

    def __init__(self, size: int):
        self.size, self.images = size, []

    def exchange(self, fakes: Tensor) -> Tensor:
        """(B,3,H,W) -> (B,3,H,W) without gradient: each fake is given back itself until the pool is full; then, with probability
        one half, it takes the place of a random image of the pool, which is given instead."""
        given = []
        for fake in fakes.detach():
            if len(self.images) < self.size:
                self.images.append(fake.clone())
            elif self.size and torch.rand(()) < 0.5:
                place = int(torch.randint(self.size, ()))
                self.images[place], fake = fake.clone(), self.images[place]
            given.append(fake)
        return torch.stack(given)
