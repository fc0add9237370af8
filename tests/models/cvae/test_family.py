"""What the CVAE promises beyond the contract of a family."""
from dataclasses import replace

import pytest
import torch

from models.batch import FACE_IDS, PARTS, SwapBatch
from models.cvae.family import CVAE, CVAEConfig
from models.perception.landmarks.five_point import FiveLandmarks
from models.perception.parsers.parser import FaceParser, ParsingUNet
from tests.contract.stubs import IDENTITY, tiny_perception

TINY = {'size': 32, 'fold': 2, 'widths': (16, 24), 'depth': 1, 'latent': 4, 'style': 16, 'background': 8, 'id_dim': IDENTITY}


def family(**changes) -> CVAE:
    torch.manual_seed(0)
    return CVAE(CVAEConfig(**{**TINY, **changes}), tiny_perception())


def batch(size: int = 32) -> SwapBatch:
    """Four swaps whose targets show a face (skin) in the middle and hair around it."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.full((4, size, size), PARTS.index('hair'))
    labels[:, 10:22, 10:22] = PARTS.index('skin')
    images = torch.rand(2, 4, 3, size, size, generator=generator) * 2 - 1
    return SwapBatch(images[0], images[1], torch.tensor([True, False, True, False]), target_parsing=labels)


def test_the_decoder_sees_the_targets_face_only_through_the_latent():
    cvae, given = family(), batch()
    hidden = cvae.dilated_face(torch.isin(given.target_parsing, torch.tensor(FACE_IDS)).unsqueeze(1).float())
    repainted = SwapBatch(given.source, torch.where(hidden.bool(), -given.target, given.target), given.same, given.target_parsing)
    latent = torch.zeros(4, 4, 8, 8)
    torch.testing.assert_close(cvae.render(given, latent), cvae.render(repainted, latent), rtol=0, atol=0)
    assert (cvae.render(given) - cvae.render(repainted)).abs().max() > 1e-6


def test_the_background_arrives_nearly_unchanged_before_any_training():
    cvae, given = family(), batch()
    corner = (cvae.generate(given) - given.target)[:, :, :6, :6]
    assert corner.abs().mean() < 0.1 * given.target[:, :, :6, :6].abs().mean()


def test_another_source_changes_the_swap():
    cvae, given = family(), batch()
    other = SwapBatch(given.source.flip(0), given.target, given.same, given.target_parsing)
    assert (cvae.generate(given) - cvae.generate(other)).abs().max() > 1e-6


def test_the_prior_varies_attributes_repeatably():
    cvae, given = family(), batch()
    first, second = (cvae.sample(given, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
    again = cvae.sample(given, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert (first - second).abs().max() > 1e-6


def test_the_identity_loss_reaches_every_part_of_the_decoder_through_the_frozen_teacher():
    cvae = family(weights={'id': 1.0})
    losses = cvae('swapper', batch(), 0, {})
    assert set(losses) == {'id'}
    losses['id'].backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in cvae.decoder.out.parameters())
    assert all(parameter.grad is None for parameter in cvae.perception.teacher.parameters())


def test_the_kl_loss_warms_up_with_the_steps():
    cvae, given = family(kl_warmup=10, free_bits=0.0, weights={'kl': 1.0}), batch()
    early, late, later = (cvae('swapper', given, step, {})['kl'].item() for step in (0, 9, 50))
    assert early == pytest.approx(late / 10, rel=1e-5) and late == later > 0


def test_the_parser_is_asked_only_where_the_batch_brings_no_labels():
    cvae, given = family(), batch()
    unlabelled = SwapBatch(given.source, given.target, given.same)
    torch.testing.assert_close(cvae.labels(unlabelled), cvae.perception.parser.labels(given.target), rtol=0, atol=0)
    assert cvae.labels(given) is given.target_parsing


@pytest.mark.parametrize('changes', [{'size': 50}, {'fold': 3}])
def test_a_size_that_does_not_fit_is_one_sentence(changes):
    with pytest.raises(ValueError, match='multiple of'):
        family(**changes)


@pytest.mark.parametrize('same', [True, False])
def test_a_batch_may_hold_one_kind_of_pair_only(same):
    cvae, given = family(weights=dict.fromkeys(('reconstruction', 'parsing', 'landmarks', 'shading'), 1.0)), batch()
    cvae.perception.parser, cvae.perception.landmarks = FaceParser(ParsingUNet()), FiveLandmarks()
    losses = cvae('swapper', replace(given, same=torch.full((4,), same)), 0, {})
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert (losses['reconstruction'] == 0) == (not same) and all((losses[name] == 0) == same for name in ('parsing', 'landmarks'))
    sum(losses.values()).backward()


def test_the_discriminator_learns_without_moving_the_swapper_and_drives_it_to_look_real():
    cvae, given = family(fine=8, discriminator=4, weights={'adversarial': 1.0, 'discriminator': 1.0}), batch()
    optimizer = torch.optim.Adam(cvae.param_groups()['discriminator'], 1e-2)
    for step in range(30):
        optimizer.zero_grad()
        cvae('discriminator', given, step, {})['discriminator'].backward()
        optimizer.step()
    assert all(parameter.grad is None for parameter in cvae.param_groups()['swapper'])
    assert cvae('discriminator', given, 30, {})['discriminator'] < 1.5  # 2 where it cannot tell
    cvae('swapper', given, 31, {})['adversarial'].backward()
    assert cvae.decoder.fine.conv1.weight.grad.abs().sum() > 0


def test_a_game_without_a_discriminator_is_one_sentence():
    with pytest.raises(ValueError, match='need a discriminator'):
        family(weights={'adversarial': 1.0})
