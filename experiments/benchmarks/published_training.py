"""Training steps of translators in the form and order of their publications.

The networks have the parameters of a family of the suite, whose losses and gradients they reproduce.

| family   | publication                               | step                                                            |
| -------- | ----------------------------------------- | --------------------------------------------------------------- |
| ugatit   | znxlwm/UGATIT-pytorch                     | discriminators first, on translations that are not detached, so |
|          |                                           | that gradients also flow through both generators; then the      |
|          |                                           | generators, which compute the same translations again           |
| cyclegan | junyanz/pytorch-CycleGAN-and-pix2pix      | generators first, then discriminators on the same translations  |
"""
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.batch import PairBatch
from models.blocks.norms import LIN, AdaLIN
from models.blocks.spectral import SpectralConv2d, unnormalized_weight
from models.translation.cyclegan.family import CycleGAN
from models.translation.ugatit.family import UGATIT
from models.translation.ugatit.networks import Discriminator, Generator, StyledResidual, Translation


def use_published_spectral_norm(module: nn.Module) -> None:
    """Replace, in place, every SpectralConv2d of a module by an nn.Conv2d with torch.nn.utils.spectral_norm and the same
    parameters."""
    for parent in list(module.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, SpectralConv2d):
                sizes: dict[str, Any] = {'kernel_size': layer.kernel_size, 'stride': layer.stride, 'padding': layer.padding}
                conv: Any = nn.Conv2d(layer.in_channels, layer.out_channels, bias=layer.bias is not None, device='meta', **sizes)
                conv.weight, conv.bias = layer.weight_orig, layer.bias
                conv = nn.utils.spectral_norm(conv)
                conv.weight_u.copy_(layer.weight_u)
                conv.weight_v.copy_(layer.weight_v)
                setattr(parent, name, conv.train(layer.training))


def _layer_instance_norm(x: Tensor, rho: Tensor, scale: Tensor, shift: Tensor, eps: float = 1e-5) -> Tensor:
    """Layer-instance norm of (B,C,H,W) as published (Kim et al. 2020, eq. 1): both norms are computed, then mixed."""
    instance = (x - x.mean((2, 3), keepdim=True)) / torch.sqrt(x.var((2, 3), keepdim=True) + eps)
    layer = (x - x.mean((1, 2, 3), keepdim=True)) / torch.sqrt(x.var((1, 2, 3), keepdim=True) + eps)
    rho = rho.expand(len(x), -1, -1, -1)
    return (rho * instance + (1 - rho) * layer) * scale + shift


def _cam_attention(x: Tensor, network: Generator | Discriminator) -> tuple[Tensor, Tensor]:
    """Logits (B,2) of the two classifiers of a network and its merged, weighted feature map (B,C,H,W)."""
    logits, weighted = [], []
    for pool, classifier in ((F.adaptive_avg_pool2d, network.gap_fc), (F.adaptive_max_pool2d, network.gmp_fc)):
        logits.append(classifier(pool(x, 1).flatten(1)))
        weighted.append(x * unnormalized_weight(classifier)[:, :, None, None])
    return torch.cat(logits, 1), network.conv1x1(torch.cat(weighted, 1))


def _residual(block: StyledResidual, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    def norm(layer: AdaLIN, y: Tensor) -> Tensor:
        return _layer_instance_norm(y, layer.rho, scale[:, :, None, None], shift[:, :, None, None])

    y = F.relu(norm(block.norm1, block.conv1(x)))
    return x + norm(block.norm2, block.conv2(y))


def ugatit_generator(network: Generator, image: Tensor) -> Translation:
    """Output of the published light generator for (B,3,H,W)."""
    x = network.DownBlock(image)
    cam, x = _cam_attention(x, network)
    x = F.relu(x)
    heatmap = x.sum(1, keepdim=True)
    style = network.FC(F.adaptive_avg_pool2d(x, network.pooled).flatten(1))
    scale, shift = network.gamma(style), network.beta(style)
    for block in network.children():
        if isinstance(block, StyledResidual):
            x = _residual(block, x, scale, shift)
    for layer in network.UpBlock2:
        x = _layer_instance_norm(x, layer.rho, layer.gamma, layer.beta) if isinstance(layer, LIN) else layer(x)
    return Translation(x, cam, heatmap, None)


def ugatit_discriminator(network: Discriminator, image: Tensor) -> tuple[Tensor, Tensor]:
    """Patch logits and classifier logits of the published discriminator for (B,3,H,W)."""
    cam, x = _cam_attention(network.model(image), network)
    return network.conv(F.pad(F.leaky_relu(x, 0.2), (1, 1, 1, 1), mode='reflect')), cam


def ugatit_steps(family: UGATIT, batch: PairBatch) -> dict[str, Callable[[], Tensor]]:
    """Total loss of each parameter group, in the published order of updates.

    Args:
        family: a family with the options of the publication; the losses have the weights of its config.
    """
    weights, a, b = family.config.weights, batch.a, batch.b

    def lsgan(domain: str, image: Tensor, label: float) -> Tensor:
        total = image.new_zeros(())
        for discriminator in family.discriminators(domain):
            for logits in ugatit_discriminator(discriminator, image):
                total = total + F.mse_loss(logits, torch.full_like(logits, label))
        return total

    def discriminators() -> Tensor:
        fake_b, fake_a = (ugatit_generator(network, x).image for network, x in ((family.genA2B, a), (family.genB2A, b)))
        return (weights['discriminator_a2b'] * (lsgan('B', b, 1.0) + lsgan('B', fake_b, 0.0))
                + weights['discriminator_b2a'] * (lsgan('A', a, 1.0) + lsgan('A', fake_a, 0.0)))

    def generators() -> Tensor:
        loss = torch.zeros(())
        for name, generator, inverse, source, target in (('a2b', family.genA2B, family.genB2A, a, b),
                                                         ('b2a', family.genB2A, family.genA2B, b, a)):
            translation = ugatit_generator(generator, source)
            reconstruction = ugatit_generator(inverse, translation.image)
            same = ugatit_generator(generator, target)
            cam = (F.binary_cross_entropy_with_logits(translation.cam, torch.ones_like(translation.cam))
                   + F.binary_cross_entropy_with_logits(same.cam, torch.zeros_like(same.cam)))
            loss = (
                loss
                + weights[f'adversarial_{name}'] * lsgan(name[-1].upper(), translation.image, 1.0)
                + weights['cam'] * cam
                + weights['cycle'] * F.l1_loss(reconstruction.image, source)
                + weights['identity_mapping'] * F.l1_loss(same.image, target)
            )
        return loss

    return {'discriminators': discriminators, 'generators': generators}


def cyclegan_steps(family: CycleGAN, batch: PairBatch) -> dict[str, Callable[[], Tensor]]:
    """Total loss of each parameter group with lsgan, in the published order of updates.

    There is no image pool, whose random numbers would differ. The discriminators take the translations of the generators' step.
    """
    weights, a, b, fakes = family.config.weights, batch.a, batch.b, {}

    def lsgan(discriminator: nn.Module, image: Tensor, label: float) -> Tensor:
        logits = discriminator(image)
        return F.mse_loss(logits, torch.full_like(logits, label))

    def generators() -> Tensor:
        fakes['b'], fakes['a'] = family.a2b(a), family.b2a(b)
        loss = weights['cycle'] * (F.l1_loss(family.b2a(fakes['b']), a) + F.l1_loss(family.a2b(fakes['a']), b))
        loss = loss + weights['identity_mapping'] * (F.l1_loss(family.a2b(b), b) + F.l1_loss(family.b2a(a), a))
        return loss + weights['adversarial'] * (
            lsgan(family.discriminator_a, fakes['a'], 1.0) + lsgan(family.discriminator_b, fakes['b'], 1.0)
        )

    def discriminators() -> Tensor:
        loss = torch.zeros(())
        for discriminator, real, fake in ((family.discriminator_a, a, fakes['a']), (family.discriminator_b, b, fakes['b'])):
            loss = loss + weights['discriminator'] * (lsgan(discriminator, real, 1.0) + lsgan(discriminator, fake.detach(), 0.0))
        return loss

    return {'generators': generators, 'discriminators': discriminators}
