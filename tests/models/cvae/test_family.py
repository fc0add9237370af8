"""CVAE: conditions, losses, samples of the prior."""
from dataclasses import replace

import pytest
import torch

from models.batch import FACE_IDS, PARTS, SwapBatch
from models.cvae.family import CVAE, CVAEConfig
from models.perception.landmarks.five_point import FiveLandmarks
from models.perception.parsers.parser import FaceParser, ParsingUNet
from tests.contract.stubs import ID_DIM, tiny_perception

TINY = {'size': 32, 'fold': 2, 'widths': (16, 24), 'depth': 1, 'latent': 4, 'style': 16, 'background': 8, 'id_dim': ID_DIM}


def build(**changes) -> CVAE:
    torch.manual_seed(0)
    return CVAE(CVAEConfig(**{**TINY, **changes}), tiny_perception())


def build_batch(size: int = 32) -> SwapBatch:
    """Four pairs whose targets are labeled skin in the center and hair around it."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.full((4, size, size), PARTS.index('hair'))
    labels[:, 10:22, 10:22] = PARTS.index('skin')
    images = torch.rand(2, 4, 3, size, size, generator=generator) * 2 - 1
    return SwapBatch(images[0], images[1], torch.tensor([True, False, True, False]), target_parsing=labels)


def test_the_targets_face_reaches_the_decoder_through_the_latent_only():
    cvae, batch = build(), build_batch()
    hidden = cvae.dilated_face(torch.isin(batch.target_parsing, torch.tensor(FACE_IDS)).unsqueeze(1).float())
    repainted = SwapBatch(batch.source, torch.where(hidden.bool(), -batch.target, batch.target), batch.same, batch.target_parsing)
    latent = torch.zeros(4, 4, 8, 8)
    torch.testing.assert_close(cvae.render(batch, latent), cvae.render(repainted, latent), rtol=0, atol=0)
    assert (cvae.render(batch) - cvae.render(repainted)).abs().max() > 1e-6


def test_the_initial_output_is_close_to_the_background():
    cvae, batch = build(), build_batch()
    corner = (cvae.generate(batch) - batch.target)[:, :, :6, :6]
    assert corner.abs().mean() < 0.1 * batch.target[:, :, :6, :6].abs().mean()


def test_another_source_changes_the_swap():
    cvae, batch = build(), build_batch()
    other = SwapBatch(batch.source.flip(0), batch.target, batch.same, batch.target_parsing)
    assert (cvae.generate(batch) - cvae.generate(other)).abs().max() > 1e-6


def test_samples_of_the_prior_depend_on_the_seed_only():
    cvae, batch = build(), build_batch()
    first, second = (cvae.sample(batch, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
    repeated = cvae.sample(batch, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(first, repeated, rtol=0, atol=0)
    assert (first - second).abs().max() > 1e-6


def test_the_identity_loss_reaches_the_decoder_through_the_frozen_teacher():
    cvae = build(weights={'id': 1.0})
    losses = cvae('swapper', build_batch(), 0, {})
    assert set(losses) == {'id'}
    losses['id'].backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in cvae.decoder.out.parameters())
    assert all(parameter.grad is None for parameter in cvae.perception.teacher.parameters())


def test_the_kl_loss_warms_up():
    cvae, batch = build(kl_warmup=10, free_bits=0.0, weights={'kl': 1.0}), build_batch()
    early, late, later = (cvae('swapper', batch, step, {})['kl'].item() for step in (0, 9, 50))
    assert early == pytest.approx(late / 10, rel=1e-5) and late == later > 0


def test_labels_come_from_the_batch_or_the_parser():
    cvae, batch = build(), build_batch()
    unlabeled = SwapBatch(batch.source, batch.target, batch.same)
    torch.testing.assert_close(cvae.labels(unlabeled), cvae.perception.parser.labels(batch.target), rtol=0, atol=0)
    assert cvae.labels(batch) is batch.target_parsing


@pytest.mark.parametrize('changes', [{'size': 50}, {'fold': 3}])
def test_an_incompatible_size_raises(changes):
    with pytest.raises(ValueError, match='multiple of'):
        build(**changes)


@pytest.mark.parametrize('same', [True, False])
def test_a_batch_of_one_kind_of_pairs_has_finite_losses(same):
    cvae, batch = build(weights=dict.fromkeys(('reconstruction', 'parsing', 'landmarks', 'shading'), 1.0)), build_batch()
    cvae.perception.parser, cvae.perception.landmarks = FaceParser(ParsingUNet()), FiveLandmarks()
    losses = cvae('swapper', replace(batch, same=torch.full((4,), same)), 0, {})
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert (losses['reconstruction'] == 0) == (not same) and all((losses[name] == 0) == same for name in ('parsing', 'landmarks'))
    sum(losses.values()).backward()


def test_the_discriminator_loss_decreases_and_the_swapper_has_a_gradient():
    cvae, batch = build(fine=8, discriminator=4, weights={'adversarial': 1.0, 'discriminator': 1.0}), build_batch()
    optimizer = torch.optim.Adam(cvae.param_groups()['discriminator'], 1e-2)
    for step in range(30):
        optimizer.zero_grad()
        cvae('discriminator', batch, step, {})['discriminator'].backward()
        optimizer.step()
    assert all(parameter.grad is None for parameter in cvae.param_groups()['swapper'])
    assert cvae('discriminator', batch, 30, {})['discriminator'] < 1.5  # 2 for equal logits
    cvae('swapper', batch, 31, {})['adversarial'].backward()
    assert cvae.decoder.fine.conv1.weight.grad.abs().sum() > 0


def test_adversarial_losses_without_a_discriminator_raise():
    with pytest.raises(ValueError, match='need a discriminator'):
        build(weights={'adversarial': 1.0})
