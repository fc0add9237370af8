"""Conditional variational auto-encoder for face swapping: the target's pose, expression and light pass through a spatial latent,
its background and parsing map through skips, the source's identity through AdaIN.

Its losses beside those of models.swap.family:

| loss | group | formula | source |
| --- | --- | --- | --- |
| kl | swapper | KL(q(z given target), N(0,1)) per latent value, with warm-up and free bits | Kingma 2014, app. B |
| adversarial | swapper | -D(swap): an auto-encoder alone is soft, as it draws the mean of what may be | Larsen 2016, fig. 2 |
| discriminator | discriminator | max(0, 1 - D(target)) + max(0, 1 + D(swap)), D spectrally normalized | Zhang 2019, eq. 4 |

Two traps, both measured: with a path that shows the decoder the target's face at full resolution it copies the target and the
identity loss stays at 1.0; without any path for the background a small budget goes into redrawing it. Hence the face passes only
through the latent (and the label map of its parts), and everything around it is handed over.
"""
import torch
from torch import Tensor

from configs.base import needing
from models.base import Perception
from models.batch import SwapBatch
from models.blocks.background import BackgroundPath
from models.blocks.folding import folded, folded_channels
from models.blocks.patch import PatchDiscriminator, check_patches
from models.cvae.networks import Decoder, Encoder
from models.losses.adversarial import accuracy, discriminator_on_fake, discriminator_on_real, generator_loss
from models.losses.kl import kl_divergence, reparametrise
from models.swap.family import SwapFamily, SwapFamilyConfig


class CVAEConfig(SwapFamilyConfig):
    """size: side of the images, a multiple of fold * 2^(len(widths) - 1), which is the number of pixels per latent cell.
    fold: power of 2 by which images are folded into channels. widths: channels at 1/fold, 1/(2 fold), ... of the size. depth:
    AdaIN blocks per resolution. latent: channels of the latent. style: width of the mapped identity. id_dim: length of the
    identity vector. kl_warmup: steps until the KL loss has its whole weight; free_bits in nats per latent value. fine: channels
    of a last level of the decoder at 2/fold of the size, 0 for none. discriminator: width of the patch discriminator, 0 for
    none."""

    size: int = 96
    fold: int = 4
    widths: tuple[int, ...] = (64, 112, 160)
    depth: int = 2
    latent: int = 16
    style: int = 128
    background: int = 32
    id_dim: int = 128
    kl_warmup: int = 2000
    free_bits: float = 0.05
    fine: int = 0
    discriminator: int = 0
    weights: dict[str, float] = {'reconstruction': 8.0, 'edges': 8.0, 'perceptual': 2.0, 'kl': 0.02, 'id': 8.0,
                                 'background': 8.0, 'parsing': 4.0, 'shading': 18.0, 'contrast': 4.0, 'total_variation': 0.0,
                                 'distillation': 0.0, 'id_encoder': 0.0, 'id_drift': 0.0, 'landmarks': 0.0, 'adversarial': 0.0,
                                 'discriminator': 0.0}

    def ignored(self) -> dict[str, str]:
        return {**super().ignored(), **needing('a weight of kl', self.is_active('kl'), 'kl_warmup', 'free_bits')}


class CVAE(SwapFamily):
    """Swaps faces in the template `face`; the perception needs an identity encoder, a teacher and a parser."""

    def __init__(self, config: CVAEConfig, perception: Perception | None):
        super().__init__(config, perception)
        self.cell = config.fold * 2 ** (len(config.widths) - 1)
        if config.fold not in (2, 4, 8) or config.size % self.cell:
            raise ValueError(f'size {config.size} does not fit fold {config.fold} and {len(config.widths)} widths: '
                             f'take fold 2, 4 or 8 and a size that is a multiple of {self.cell}')
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
            raise ValueError(
                'the losses adversarial and discriminator need a discriminator: set model.discriminator to a width, or '
                'their weights to 0'
            )

    def param_groups(self):
        param_groups = {'swapper': [parameter for module in self.ema_modules().values() for parameter in module.parameters()]}
        return (
            param_groups
            if self.discriminator is None
            else {**param_groups, 'discriminator': list(self.discriminator.parameters())}
        )

    def ema_modules(self):
        return {'encoder': self.encoder, 'background': self.background, 'decoder': self.decoder}

    def forward(self, group: str, batch: SwapBatch, step: int, cache: dict) -> dict[str, Tensor]:
        return self._swapper_losses(batch, step, cache) if group == 'swapper' else self._discriminator_losses(batch, cache)

    def _swapper_losses(self, batch: SwapBatch, step: int, cache: dict) -> dict[str, Tensor]:
        labels = self.labels(batch)
        shape, background_image, face = self.conditions(batch.target, labels)
        mean, logvar = self.encoder(folded(batch.target, shape, self.config.fold))
        maps = self.background(folded(background_image, shape, self.config.fold))
        mixture = self.mixture(batch)
        identity = mixture(self.identities(batch))
        swap = self.decoder(reparametrise(mean, logvar), identity, maps, background_image, shape)
        if self.discriminator is not None:
            cache['swap'] = swap.detach()

        losses = self.swap_losses(swap, batch, labels, face, identity, mixture, step)
        if self.is_active('kl'):
            warm = min(1.0, (step + 1) / max(1, self.config.kl_warmup))
            losses['kl'] = warm * kl_divergence(mean, logvar, free_bits=self.config.free_bits)
        if self.is_active('adversarial'):
            losses['adversarial'] = generator_loss('hinge', [self.discriminator(swap)])
        return losses

    def _discriminator_losses(self, batch: SwapBatch, cache: dict) -> dict[str, Tensor]:
        swap = cache['swap'] if 'swap' in cache else self.swap(batch)
        # One pass: compiled, spectral norms must not step again before the backward pass.
        judged = self.discriminator(torch.cat([batch.target, swap]))
        real, made = ([logits] for logits in judged.chunk(2))
        self.note(**dict(zip(('real_right', 'fake_right'), accuracy(real, made))))
        return (
            {'discriminator': discriminator_on_real('hinge', real) + discriminator_on_fake('hinge', made)}
            if self.is_active('discriminator')
            else {}
        )

    @torch.no_grad()
    def swap(self, batch: SwapBatch, latent: Tensor | None = None) -> Tensor:
        """(B,3,H,W) with the latent given, or with the mean that the encoder finds in the target."""
        shape, background_image, _ = self.conditions(batch.target, self.labels(batch))
        if latent is None:
            latent = self.encoder(folded(batch.target, shape, self.config.fold))[0]
        maps = self.background(folded(background_image, shape, self.config.fold))
        return self.decoder(latent, self.identities(batch), maps, background_image, shape).clamp(-1, 1)

    def generate(self, batch: SwapBatch, *, generator: torch.Generator | None = None) -> Tensor:
        return self.swap(batch)

    def sample(self, batch: SwapBatch, *, generator: torch.Generator | None = None) -> Tensor:
        """(B,3,H,W): the latent drawn from the prior N(0,1), so that light and expression vary under a fixed identity."""
        side = self.config.size // self.cell
        shape = len(batch), self.config.latent, side, side
        latent = torch.randn(shape, generator=generator, device=batch.target.device, dtype=batch.target.dtype)
        return self.swap(batch, latent)
