"""Translators as their publications run them: the networks of models.translation in plain form, and training steps in the
published order with a pass for each image. What the suite's own steps are measured against, and what their gradients equal.

    U-GAT-IT   znxlwm/UGATIT-pytorch: discriminators first, whose fakes are drawn for them and are not detached, so that their
    gradient
               runs on through both generators; then the generators, who draw the same fakes again
    CycleGAN   junyanz/pytorch-CycleGAN-and-pix2pix: fakes once, generators first, then the discriminators
"""
from collections.abc import Callable
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.batch import PairBatch
from models.blocks.norms import LIN, AdaLIN, InstanceNorm2d
from models.blocks.spectral import SpectralConv2d, unnormalised
from models.runtime.narrow import NarrowConv2d
from models.runtime.upsampling import DoubledConv3x3
from models.runtime.winograd import Conv3x3
from models.translation.cyclegan.family import CycleGAN
from models.translation.ugatit.family import UGATIT
from models.translation.ugatit.networks import Discriminator, Generator, StyledResidual, Translated


@contextmanager
def direct():
    """Inside, convolutions and norms are torch's own: maps are doubled, and weights spectrally normalized, beforehand."""
    ours = {layer: layer.forward for layer in (Conv3x3, NarrowConv2d, SpectralConv2d, DoubledConv3x3, InstanceNorm2d)}
    Conv3x3.forward = NarrowConv2d.forward = SpectralConv2d.forward = nn.Conv2d.forward
    DoubledConv3x3.forward, InstanceNorm2d.forward = _doubled, nn.InstanceNorm2d.forward
    try:
        yield
    finally:
        for layer, forward in ours.items():
            layer.forward = forward


def _doubled(layer: DoubledConv3x3, x: Tensor) -> Tensor:
    return F.conv2d(F.pad(F.interpolate(x, scale_factor=2), (1, 1, 1, 1), mode='reflect'), layer.weight, layer.bias)


def _mixed(x: Tensor, rho: Tensor, scale: Tensor, shift: Tensor, eps: float = 1e-5) -> Tensor:
    """Layer-instance norm of (B,C,H,W), line by line as published."""
    own = (x - x.mean((2, 3), keepdim=True)) / torch.sqrt(x.var((2, 3), keepdim=True) + eps)
    whole = (x - x.mean((1, 2, 3), keepdim=True)) / torch.sqrt(x.var((1, 2, 3), keepdim=True) + eps)
    rho = rho.expand(len(x), -1, -1, -1)
    return (rho * own + (1 - rho) * whole) * scale + shift


def _attended(x: Tensor, ema: nn.Linear, largest: nn.Linear, merge: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """Logits (B,2) of the two classifiers, and the map that both weighed (B,C,H,W)."""
    logits, weighed = [], []
    for pool, classifier in ((F.adaptive_avg_pool2d, ema), (F.adaptive_max_pool2d, largest)):
        logits.append(classifier(pool(x, 1).flatten(1)))
        weighed.append(x * unnormalised(classifier)[:, :, None, None])
    return torch.cat(logits, 1), merge(torch.cat(weighed, 1))


def _residual(block: StyledResidual, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    def normed(norm: AdaLIN, y: Tensor) -> Tensor:
        return _mixed(y, norm.rho, scale[:, :, None, None], shift[:, :, None, None])

    y = F.relu(normed(block.norm1, block.conv1(x)))
    return x + normed(block.norm2, block.conv2(y))


def ugatit_generated(network: Generator, image: Tensor) -> Translated:
    """What a published, light generator gives for (B,3,H,W)."""
    x = network.DownBlock(image)
    cam, x = _attended(x, network.gap_fc, network.gmp_fc, network.conv1x1)
    x = F.relu(x)
    heatmap = x.sum(1, keepdim=True)
    told = network.FC(F.adaptive_avg_pool2d(x, network.pooled).flatten(1))
    scale, shift = network.gamma(told), network.beta(told)
    for block in network.children():
        if isinstance(block, StyledResidual):
            x = _residual(block, x, scale, shift)
    for layer in network.UpBlock2:
        x = _mixed(x, layer.rho, layer.gamma, layer.beta) if isinstance(layer, LIN) else layer(x)
    return Translated(x, cam, heatmap, None)


def ugatit_judged(network: Discriminator, image: Tensor) -> tuple[Tensor, Tensor]:
    """Patch logits and classifier logits of a published discriminator for (B,3,H,W)."""
    cam, x = _attended(network.model(image), network.gap_fc, network.gmp_fc, network.conv1x1)
    return network.conv(F.pad(F.leaky_relu(x, 0.2), (1, 1, 1, 1), mode='reflect')), cam


def ugatit_steps(family: UGATIT, batch: PairBatch) -> dict[str, Callable[[], Tensor]]:
    """Parameter group -> its loss, in the published order. The family has the options of the publication; weights are the
    config's."""
    weights, a, b = family.config.weights, batch.a, batch.b

    def says(domain: str, image: Tensor, wanted: float) -> Tensor:
        total = image.new_zeros(())
        for discriminator in family.discriminators(domain):
            for logits in ugatit_judged(discriminator, image):
                total = total + F.mse_loss(logits, torch.full_like(logits, wanted))
        return total

    def discriminators() -> Tensor:
        fake_b, fake_a = (ugatit_generated(network, x).image for network, x in ((family.genA2B, a), (family.genB2A, b)))
        return (weights['discriminator_a2b'] * (says('B', b, 1.0) + says('B', fake_b, 0.0))
                + weights['discriminator_b2a'] * (says('A', a, 1.0) + says('A', fake_a, 0.0)))

    def generators() -> Tensor:
        loss = torch.zeros(())
        for name, there, back, here, wanted in (('a2b', family.genA2B, family.genB2A, a, b),
                                                ('b2a', family.genB2A, family.genA2B, b, a)):
            made = ugatit_generated(there, here)
            again = ugatit_generated(back, made.image)
            own = ugatit_generated(there, wanted)
            cam = (F.binary_cross_entropy_with_logits(made.cam, torch.ones_like(made.cam))
                   + F.binary_cross_entropy_with_logits(own.cam, torch.zeros_like(own.cam)))
            loss = (
                loss
                + weights[f'adversarial_{name}'] * says(name[-1].upper(), made.image, 1.0)
                + weights['cam'] * cam
                + weights['cycle'] * F.l1_loss(again.image, here)
                + weights['identity_mapping'] * F.l1_loss(own.image, wanted)
            )
        return loss

    return {'discriminators': discriminators, 'generators': generators}


def cyclegan_steps(family: CycleGAN, batch: PairBatch) -> dict[str, Callable[[], Tensor]]:
    """The same for CycleGAN with lsgan and without its pool, whose draw would differ; the discriminators judge what the
    generators' step drew."""
    weights, a, b, fakes = family.config.weights, batch.a, batch.b, {}

    def says(discriminator: nn.Module, image: Tensor, wanted: float) -> Tensor:
        logits = discriminator(image)
        return F.mse_loss(logits, torch.full_like(logits, wanted))

    def generators() -> Tensor:
        fakes['b'], fakes['a'] = family.a2b(a), family.b2a(b)
        loss = weights['cycle'] * (F.l1_loss(family.b2a(fakes['b']), a) + F.l1_loss(family.a2b(fakes['a']), b))
        loss = loss + weights['identity_mapping'] * (F.l1_loss(family.a2b(b), b) + F.l1_loss(family.b2a(a), a))
        return loss + weights['adversarial'] * (
            says(family.discriminator_a, fakes['a'], 1.0) + says(family.discriminator_b, fakes['b'], 1.0)
        )

    def discriminators() -> Tensor:
        loss = torch.zeros(())
        for discriminator, real, fake in ((family.discriminator_a, a, fakes['a']), (family.discriminator_b, b, fakes['b'])):
            loss = loss + weights['discriminator'] * (says(discriminator, real, 1.0) + says(discriminator, fake.detach(), 0.0))
        return loss

    return {'generators': generators, 'discriminators': discriminators}
