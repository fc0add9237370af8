"""XGAN (Royer et al. 2018, arXiv:1711.05139): two auto-encoders that share their middle, so that one embedding means one thing in
both domains.

| loss           | group          | formula                                                                         | paper |
| -------------- | -------------- | ------------------------------------------------------------------------------- | ----- |
| reconstruction | generators     | mean square of an image and what its own auto-encoder makes of it, both domains | eq. 1 |
| domain         | generators     | cross entropy of telling the embeddings' domains, gradient reversed before it   | eq. 2 |
| semantic       | generators     | L1 between the embeddings of an image and of its translation, both directions   | eq. 3 |
| adversarial    | generators     | models.losses.adversarial of the translations                                   | eq. 4 |
| teacher        | generators     | 1 - cos between what is read off a photo's embedding and the frozen teacher     | eq. 5 |
| discriminator  | discriminators | loss on real images + loss on translations                                      | eq. 4 |

The paper tunes the weights for each task; those here are a start.
"""
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from configs.base import needing
from models.base import FamilyConfig, Perception
from models.batch import PairBatch
from models.blocks.initialization import initialize
from models.blocks.gradient_reversal import reverse_gradient
from models.losses.adversarial import Adversary, discriminator_on_fake, discriminator_on_real, generator_loss
from models.losses.identity import cosine_id_loss
from models.precision import normalized
from models.translation.convolution_stacks import downsampling_layers, halvings, upsampling_layers
from models.translation.translator import Translator


class XGANConfig(FamilyConfig):
    """The defaults are the published networks.

    size: side of the images, a power of 2 from 32 on. width: channels of the encoders' first layer. embedding: its length.
    both: an adversary in either domain, not for drawings alone. id_dim: length of the teacher's vector.
    """

    size: int = 64
    width: int = 32
    embedding: int = 1024
    discriminator_width: int = 16
    both: bool = True
    id_dim: int = 128
    adversary: Adversary = 'vanilla'
    weights: dict[str, float] = {'reconstruction': 1.0, 'domain': 0.1, 'semantic': 1.0, 'adversarial': 0.1, 'teacher': 0.1,
                                 'discriminator': 1.0}

    def networks(self) -> set[str]:
        return {'teacher'} if self.is_active('teacher') else set()

    def ignored(self) -> dict[str, str]:
        return needing('a weight of adversarial or discriminator', self.is_active('adversarial', 'discriminator'), 'adversary')


def _norm(width: int) -> nn.Module:
    return nn.InstanceNorm2d(width, affine=True)


class XGAN(Translator):
    """Either direction. The perception needs a teacher."""

    def __init__(self, config: XGANConfig, perception: Perception | None):
        super().__init__(config, perception)
        count, width, length = halvings(config.size), config.width, config.embedding
        if count < 3:
            raise ValueError(f'size {config.size} is too small: take a power of 2 from 32 on')
        widths = [width * 2 ** level for level in range(count)]  # 32, 64, 128, 256 at 64 pixels
        *outer, before, last = widths
        self.encode_a, self.encode_b = (downsampling_layers([3, *outer], _norm, nn.ReLU()) for _ in range(2))
        shared = [layer for inner, out in ((outer[-1], before), (before, last))
                  for layer in (nn.Conv2d(inner, out, 4, 2, 1), _norm(out), nn.ReLU())]
        self.encode = nn.Sequential(*shared, nn.Flatten(), nn.Linear(16 * last, length), nn.ReLU(), nn.Linear(length, length))
        self.decode = nn.Sequential(nn.Unflatten(1, (length, 1, 1)), nn.ConvTranspose2d(length, 2 * last, 4), _norm(2 * last),
                                    nn.ReLU(), *upsampling_layers([2 * last, last], _norm))
        self.decode_a, self.decode_b = (
            nn.Sequential(*upsampling_layers(widths[:0:-1], _norm), nn.ConvTranspose2d(widths[1], 3, 4, 2, 1), nn.Tanh()) for _ in range(2))
        self.tell = nn.Sequential(nn.Linear(length, length), nn.ReLU(), nn.Linear(length, 1))
        self.read = nn.Linear(length, config.id_dim)
        thin = config.discriminator_width
        discriminators = [nn.Sequential(*downsampling_layers([3, thin, *[2 * thin] * (count - 1)], nn.InstanceNorm2d, nn.LeakyReLU(0.2)),
                                 nn.Flatten(), nn.Linear(32 * thin, 1)) for _ in range(2 if config.both else 1)]
        self.discriminators = nn.ModuleDict(dict(zip(('b', 'a'), discriminators)))
        initialize(self, partial(nn.init.kaiming_normal_, nonlinearity='relu'))

    def param_groups(self):
        drawing = [self.encode_a, self.encode_b, self.encode, self.decode, self.decode_a, self.decode_b]
        judging = [self.tell] * self.is_active('domain') + [self.read] * self.is_active('teacher')
        return {'generators': [parameter for network in drawing + judging for parameter in network.parameters()],
                'discriminators': list(self.discriminators.parameters())}

    def ema_modules(self):
        return {'encode_a': self.encode_a, 'encode_b': self.encode_b, 'encode': self.encode, 'decode': self.decode,
                'decode_a': self.decode_a, 'decode_b': self.decode_b}

    def embedded(self, images: Tensor, domain: str) -> Tensor:
        """(B,3,H,W) -> (B,embedding)."""
        return self.encode({'a': self.encode_a, 'b': self.encode_b}[domain](images))

    def drawn(self, embedding: Tensor, domain: str) -> Tensor:
        """(B,embedding) -> (B,3,H,W) in [-1,1]."""
        return {'a': self.decode_a, 'b': self.decode_b}[domain](self.decode(embedding))

    def render(self, images, direction, reference, generator):
        return self.drawn(self.embedded(images, direction[0]), direction[-1])

    def forward(self, group: str, batch: PairBatch, step: int, cache: dict) -> dict[str, Tensor]:
        if group == 'generators':
            return self.generator_losses(batch, cache)
        return {'discriminator': self.judged(batch, cache)} if self.is_active('discriminator') else {}

    def generator_losses(self, batch: PairBatch, cache: dict) -> dict[str, Tensor]:
        losses, kind = {}, self.config.adversary
        own = {'a': self.embedded(batch.a, 'a'), 'b': self.embedded(batch.b, 'b')}
        fakes = {'a': self.drawn(own['b'], 'a'), 'b': self.drawn(own['a'], 'b')}
        cache['fakes'] = [fake.detach() for fake in fakes.values()]
        if self.is_active('reconstruction'):
            losses['reconstruction'] = (F.mse_loss(self.drawn(own['a'], 'a'), batch.a)
                                       + F.mse_loss(self.drawn(own['b'], 'b'), batch.b))
        if self.is_active('domain'):
            logits = self.tell(reverse_gradient(torch.cat([own['a'], own['b']]))).squeeze(1)
            domains = torch.arange(2, device=logits.device).repeat_interleave(len(batch)).to(logits)
            losses['domain'] = F.binary_cross_entropy_with_logits(logits, domains)
        if self.is_active('semantic'):
            losses['semantic'] = (F.l1_loss(self.embedded(fakes['b'], 'b'), own['a'])
                                 + F.l1_loss(self.embedded(fakes['a'], 'a'), own['b']))
        if self.is_active('adversarial'):
            losses['adversarial'] = sum(
                generator_loss(kind, [discriminator(fakes[domain])]) for domain, discriminator in self.discriminators.items()
            )
        if self.is_active('teacher'):
            with torch.no_grad():
                wanted = self.perception.teacher(batch.a)
            losses['teacher'] = cosine_id_loss(normalized(self.read(own['a'])), wanted)
        return losses

    def training_embedders(self) -> set[str]:
        return {'teacher'} if self.is_active('teacher') else set()

    def judged(self, batch: PairBatch, cache: dict) -> Tensor:
        """The discriminators' loss, a scalar."""
        fakes, kind, total = cache.get('fakes'), self.config.adversary, 0
        with torch.no_grad():
            fakes = fakes or [self.render(batch.b, 'b2a', None, None), self.render(batch.a, 'a2b', None, None)]
        for domain, discriminator in self.discriminators.items():
            real, fake = (batch.a, fakes[0]) if domain == 'a' else (batch.b, fakes[1])
            on_real, on_fake = discriminator(torch.cat([real, fake])).chunk(2)
            total = total + discriminator_on_real(kind, [on_real]) + discriminator_on_fake(kind, [on_fake])
        return total
