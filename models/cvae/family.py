"""Conditional variational auto-encoder for face swapping.

The target's pose, expression and light pass through a spatial latent, its background and parsing map through skip connections,
the source's identity through AdaIN. Losses in addition to those of models.swap.losses:

| loss | group | formula | source |
| --- | --- | --- | --- |
| kl | swapper | KL(q(z given target), N(0,1)) per latent value, with warm-up and free bits | Kingma 2014, app. B |
| adversarial | swapper | -D(swap), against the blur of a mean over possible images | Larsen 2016, fig. 2 |
| discriminator | discriminator | max(0, 1 - D(target)) + max(0, 1 + D(swap)), D spectrally normalized | Zhang 2019, eq. 4 |

The face reaches the decoder through the latent and the parsing map only: with a skip connection for the face at full resolution
the decoder copies the target, and the identity loss stays at 1.0. The background has such a connection, as a small network
otherwise spends its capacity on it.
"""
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import Parameter

from configs.base import needing
from models.base import Perception
from models.batch import SwapBatch
from models.blocks.background import BackgroundPath
from models.blocks.folding import folded, folded_channels
from models.blocks.patch import PatchDiscriminator, check_patches
from models.cvae.networks import Decoder, Encoder
from models.losses.adversarial import accuracy, discriminator_on_fake, discriminator_on_real, generator_loss
from models.losses.kl import kl_divergence, reparametrize
from models.swap.conditions import identity_mixer
from models.swap.family import SwapFamily, SwapFamilyConfig
from models.swap.losses import SWAP_LOSS_WEIGHTS, RenderedSwap, swap_losses


class CVAEConfig(SwapFamilyConfig):
    """The CVAE."""

    size: int = Field(96, description='side of the images in pixels, a multiple of fold * 2^(len(widths) - 1), the number of '
                                      'pixels per cell of the latent')
    fold: int = Field(4, description='power of 2 by which images are folded into channels')
    widths: tuple[int, ...] = Field((64, 112, 160), description='channels at 1/fold, 1/(2 fold), ... of the size')
    depth: int = Field(2, description='AdaIN blocks per resolution of the decoder')
    latent: int = Field(16, description='channels of the latent')
    style: int = Field(128, description='width of the mapping network of the identity embedding')
    background: int = Field(32, description='channels of the background maps')
    id_dim: int = Field(128, description='length of the identity embedding')
    kl_warmup: int = Field(2000, description='steps over which the loss kl rises linearly to its weight')
    free_bits: float = Field(0.05, description='nats per latent value below which the loss kl has no gradient')
    fine: int = Field(0, description='channels of a last level of the decoder at 2/fold of the size, 0 for none')
    discriminator: int = Field(0, description='width of the patch discriminator, 0 for none')
    weights: dict[str, float] = Field({
        **SWAP_LOSS_WEIGHTS, 'reconstruction': 8.0, 'edges': 8.0, 'perceptual': 2.0, 'kl': 0.02, 'id': 8.0, 'background': 8.0,
        'parsing': 4.0, 'shading': 18.0, 'contrast': 4.0, 'adversarial': 0.0, 'discriminator': 0.0,
    }, description='weight of each loss; a loss of weight 0 is not computed')

    def ignored(self) -> dict[str, str]:
        return {**super().ignored(), **needing('a weight of kl', self.is_active('kl'), 'kl_warmup', 'free_bits')}


class CVAE(SwapFamily):
    """Swaps faces in the template `face`; the perception provides an id encoder, a teacher and a parser. Raises ValueError if
    fields of the config do not fit each other."""

    config: CVAEConfig

    def __init__(self, config: CVAEConfig, perception: Perception | None):
        super().__init__(config, perception)
        self.cell_px = config.fold * 2 ** (len(config.widths) - 1)
        if config.fold not in (2, 4, 8) or config.size % self.cell_px:
            raise ValueError(f'size {config.size} does not fit fold {config.fold} and {len(config.widths)} widths: '
                             f'take fold 2, 4 or 8 and a size that is a multiple of {self.cell_px}')
        channels = folded_channels(config.condition_channels, config.fold)
        self.encoder = Encoder(channels, config.widths, config.latent)
        self.background = BackgroundPath(channels, config.background, len(config.widths))
        self.decoder = Decoder(config.latent, config.id_dim, config.style, config.widths, config.depth, config.background,
                               config.fold, config.condition_channels, config.fine)
        self.discriminator = None
        if config.discriminator:
            check_patches(config.size, 3)
            self.discriminator = PatchDiscriminator(3, config.discriminator, 3, norm='none', spectral=True)
        elif self.is_active('adversarial') or self.is_active('discriminator'):
            raise ValueError('the losses adversarial and discriminator need a discriminator: set model.discriminator to a width, '
                             'or their weights to 0')

    def param_groups(self) -> dict[str, list[Parameter]]:
        groups = {'swapper': [parameter for module in self.ema_modules().values() for parameter in module.parameters()]}
        if self.discriminator is not None:
            groups['discriminator'] = list(self.discriminator.parameters())
        return groups

    def ema_modules(self) -> dict[str, nn.Module]:
        return {'encoder': self.encoder, 'background': self.background, 'decoder': self.decoder}

    def forward(self, group: str, batch: SwapBatch, step: int, cache: dict) -> dict[str, Tensor]:
        batch = self.training_batch(batch, cache)
        if group == 'discriminator' and self.discriminator is not None:
            return self._discriminator_losses(self.discriminator, batch, cache)
        config, labels = self.config, self.labels(batch)
        parsing_onehot, background_image, face = self.conditions(batch.target, labels)
        mean, logvar = self.encoder(folded(batch.target, parsing_onehot, config.fold))  # (B,L,h,w) each
        maps = self.background(folded(background_image, parsing_onehot, config.fold))
        mix = identity_mixer(batch, config.blend if self.training else 0.0)
        embedding = mix(self.source_embedding(batch))  # (B,D)
        image = self.decoder(reparametrize(mean, logvar), embedding, maps, background_image, parsing_onehot)  # (B,3,H,W)
        if self.discriminator is not None:
            cache['swap'] = image.detach()

        swap = RenderedSwap(image, batch, labels, face, embedding, self.perception, mix, config.jitter if self.training else 0.0)
        losses = swap_losses(swap, config.weights)
        self.log_swap_metrics(swap, step)
        if self.is_active('kl'):
            warmup = min(1.0, (step + 1) / max(1, config.kl_warmup))
            losses['kl'] = warmup * kl_divergence(mean, logvar, free_bits=config.free_bits)
        if self.is_active('adversarial') and self.discriminator is not None:
            losses['adversarial'] = generator_loss('hinge', [self.discriminator(image)])
        return losses

    def _discriminator_losses(self, discriminator: nn.Module, batch: SwapBatch, cache: dict) -> dict[str, Tensor]:
        swap = cache['swap'] if 'swap' in cache else self.render(batch)
        # One pass: compiled, the power iterations of spectral norms must not step again before the backward pass.
        logits = discriminator(torch.cat([batch.real, swap]))  # (2B,1,h,w)
        real, fake = ([half] for half in logits.chunk(2))
        self.log_metrics(**dict(zip(('real_accuracy', 'fake_accuracy'), accuracy(real, fake))))
        if not self.is_active('discriminator'):
            return {}
        return {'discriminator': discriminator_on_real('hinge', real) + discriminator_on_fake('hinge', fake)}

    @torch.no_grad()
    def render(self, batch: SwapBatch, latent: Tensor | None = None) -> Tensor:
        """(B,3,H,W) in [-1,1]: the swap for a latent (B,L,h,w), by default the posterior mean of the target."""
        parsing_onehot, background_image, _ = self.conditions(batch.target, self.labels(batch))
        if latent is None:
            latent = self.encoder(folded(batch.target, parsing_onehot, self.config.fold))[0]
        maps = self.background(folded(background_image, parsing_onehot, self.config.fold))
        return self.decoder(latent, self.source_embedding(batch), maps, background_image, parsing_onehot).clamp(-1, 1)

    def generate(self, batch: SwapBatch, *, generator: torch.Generator | None = None) -> Tensor:
        return self.render(batch)

    def sample(self, batch: SwapBatch, *, generator: torch.Generator | None = None) -> Tensor:
        """(B,3,H,W) in [-1,1]: the swap for a latent from the prior N(0,1), which varies light and expression under a fixed
        identity."""
        side = self.config.size // self.cell_px
        shape = len(batch), self.config.latent, side, side
        return self.render(batch, torch.randn(shape, generator=generator, device=batch.target.device, dtype=batch.target.dtype))
