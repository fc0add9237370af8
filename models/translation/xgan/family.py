"""XGAN (Royer et al. 2018, arXiv:1711.05139): two auto-encoders whose inner layers and embedding space are shared.

| loss           | group          | formula                                                                              | paper |
| -------------- | -------------- | ------------------------------------------------------------------------------------ | ----- |
| reconstruction | generators     | mean square of an image and its reconstruction in its own domain, both domains       | eq. 1 |
| domain         | generators     | cross entropy of a domain classifier of the embeddings, behind a gradient reversal   | eq. 2 |
| semantic       | generators     | L1 of the embeddings of an image and of its translation, both directions             | eq. 3 |
| adversarial    | generators     | models.losses.adversarial of the translations                                        | eq. 4 |
| teacher        | generators     | 1 - cos of a linear map of a photo's embedding and the embedding of a frozen teacher | eq. 5 |
| discriminator  | discriminators | loss on real images + loss on translations                                           | eq. 4 |

The publication tunes the weights for each task; the defaults are not published.
"""
from functools import partial, reduce
from operator import add

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.nn import Parameter

from configs.base import needing
from models.base import FamilyConfig, Perception
from models.batch import PairBatch
from models.blocks.gradient_reversal import reverse_gradient
from models.blocks.initialization import initialize
from models.losses.adversarial import Adversary, discriminator_on_fake, discriminator_on_real, generator_loss
from models.losses.identity import cosine_id_loss
from models.precision import normalized
from models.translation.convolution_stacks import halvings
from models.translation.translator import Translator
from models.translation.xgan.networks import (
    domain_decoder,
    domain_encoder,
    image_discriminator,
    shared_decoder,
    shared_encoder,
)


class XGANConfig(FamilyConfig):
    """Networks and losses of XGAN; the defaults are the published networks."""

    size: int = Field(64, description='side of the images in pixels, a power of 2 from 32 on')
    width: int = Field(32, description="channels of the encoders' first layer")
    embedding: int = Field(1024, description='length of the shared embedding')
    discriminator_width: int = Field(16, description="channels of the discriminators' first layer")
    both: bool = Field(True, description='a discriminator in either domain; otherwise of drawings only')
    id_dim: int = Field(128, description="length of the teacher's embedding")
    adversary: Adversary = Field('vanilla', description='form of the adversarial loss')
    weights: dict[str, float] = Field({'reconstruction': 1.0, 'domain': 0.1, 'semantic': 1.0, 'adversarial': 0.1, 'teacher': 0.1,
                                       'discriminator': 1.0}, description='weight of each loss')

    def networks(self) -> set[str]:
        return {'teacher'} if self.is_active('teacher') else set()

    def ignored(self) -> dict[str, str]:
        return needing('a weight of adversarial or discriminator', self.is_active('adversarial', 'discriminator'), 'adversary')


class XGAN(Translator):
    """Translation in both directions. The perception needs a teacher.

    `tell` is the domain classifier and `read` the linear map to the teacher's embedding.
    """

    config: XGANConfig

    def __init__(self, config: XGANConfig, perception: Perception | None):
        super().__init__(config, perception)
        count, embedding = halvings(config.size), config.embedding
        if count < 3:
            raise ValueError(f'size {config.size} is too small: take a power of 2 from 32 on')
        widths = [config.width * 2 ** level for level in range(count)]  # 32, 64, 128, 256 at 64 pixels
        *outer, before, last = widths
        self.encode_a, self.encode_b = (domain_encoder(outer) for _ in range(2))
        self.encode = shared_encoder(outer[-1], before, last, embedding)
        self.decode = shared_decoder(embedding, last)
        self.decode_a, self.decode_b = (domain_decoder(widths[:0:-1]) for _ in range(2))
        self.domain_classifier = nn.Sequential(nn.Linear(embedding, embedding), nn.ReLU(), nn.Linear(embedding, 1))
        self.teacher_head = nn.Linear(embedding, config.id_dim)
        discriminators = [image_discriminator(config.discriminator_width, count) for _ in range(2 if config.both else 1)]
        self.discriminators = nn.ModuleDict(dict(zip(('b', 'a'), discriminators)))
        initialize(self, partial(nn.init.kaiming_normal_, nonlinearity='relu'))

    def param_groups(self) -> dict[str, list[Parameter]]:
        autoencoders = [self.encode_a, self.encode_b, self.encode, self.decode, self.decode_a, self.decode_b]
        heads = [self.domain_classifier] * self.is_active('domain') + [self.teacher_head] * self.is_active('teacher')
        return {'generators': [parameter for network in autoencoders + heads for parameter in network.parameters()],
                'discriminators': list(self.discriminators.parameters())}

    def ema_modules(self) -> dict[str, nn.Module]:
        return {'encode_a': self.encode_a, 'encode_b': self.encode_b, 'encode': self.encode, 'decode': self.decode,
                'decode_a': self.decode_a, 'decode_b': self.decode_b}

    def encode_images(self, images: Tensor, domain: str) -> Tensor:
        """(B,3,H,W) of domain 'a' or 'b' -> (B,embedding)."""
        return self.encode({'a': self.encode_a, 'b': self.encode_b}[domain](images))

    def decode_images(self, embedding: Tensor, domain: str) -> Tensor:
        """(B,embedding) -> (B,3,H,W) in [-1,1] of domain 'a' or 'b'."""
        return {'a': self.decode_a, 'b': self.decode_b}[domain](self.decode(embedding))

    def render(self, images: Tensor, direction: str, reference: Tensor | None, generator: torch.Generator | None) -> Tensor:
        return self.decode_images(self.encode_images(images, direction[0]), direction[-1])

    def forward(self, group: str, batch: PairBatch, step: int, cache: dict) -> dict[str, Tensor]:
        if group == 'generators':
            return self.generator_losses(batch, cache)
        return {'discriminator': self.discriminator_loss(batch, cache)} if self.is_active('discriminator') else {}

    def generator_losses(self, batch: PairBatch, cache: dict) -> dict[str, Tensor]:
        """Losses of the auto-encoders; the translations (B,3,H,W) into a and b are cached as `fakes`."""
        losses, kind = {}, self.config.adversary
        embeddings = {'a': self.encode_images(batch.a, 'a'), 'b': self.encode_images(batch.b, 'b')}
        fakes = {'a': self.decode_images(embeddings['b'], 'a'), 'b': self.decode_images(embeddings['a'], 'b')}
        cache['fakes'] = [fake.detach() for fake in fakes.values()]
        if self.is_active('reconstruction'):
            losses['reconstruction'] = (F.mse_loss(self.decode_images(embeddings['a'], 'a'), batch.a)
                                        + F.mse_loss(self.decode_images(embeddings['b'], 'b'), batch.b))
        if self.is_active('domain'):
            logits = self.domain_classifier(reverse_gradient(torch.cat([embeddings['a'], embeddings['b']]))).squeeze(1)  # (2B,)
            domains = torch.arange(2, device=logits.device).repeat_interleave(len(batch)).to(logits)
            losses['domain'] = F.binary_cross_entropy_with_logits(logits, domains)
        if self.is_active('semantic'):
            losses['semantic'] = (F.l1_loss(self.encode_images(fakes['b'], 'b'), embeddings['a'])
                                  + F.l1_loss(self.encode_images(fakes['a'], 'a'), embeddings['b']))
        if self.is_active('adversarial'):
            losses['adversarial'] = reduce(add, (
                generator_loss(kind, [discriminator(fakes[domain])]) for domain, discriminator in self.discriminators.items()
            ))
        if self.is_active('teacher'):
            with torch.no_grad():
                teacher_embedding = self.perception.teacher(batch.a)
            losses['teacher'] = cosine_id_loss(normalized(self.teacher_head(embeddings['a'])), teacher_embedding)
        return losses

    def discriminator_loss(self, batch: PairBatch, cache: dict) -> Tensor:
        """Sum over the discriminators, a scalar."""
        fakes, kind = cache.get('fakes'), self.config.adversary
        losses: list[Tensor] = []
        with torch.no_grad():
            fakes = fakes or [self.render(batch.b, 'b2a', None, None), self.render(batch.a, 'a2b', None, None)]
        for domain, discriminator in self.discriminators.items():
            real, fake = (batch.a, fakes[0]) if domain == 'a' else (batch.b, fakes[1])
            on_real, on_fake = discriminator(torch.cat([real, fake])).chunk(2)
            losses += [discriminator_on_real(kind, [on_real]), discriminator_on_fake(kind, [on_fake])]
        return reduce(add, losses)
