"""Losses and files of the face parser; the published small U-Net."""
import pytest
import torch
import torch.nn.functional as F

from models import geometry
from models.batch import COARSE, IGNORED, PARTS, ParsingBatch
from models.conversion.convert import read_state
from models.perception.build import PARSERS
from models.perception.parsers.family import (
    COARSE_MEMBERS,
    ParserTraining,
    ParserTrainingConfig,
    coarse_labels,
    load_trained,
    marginal_cross_entropy,
    parser_bytes,
)
from models.perception.parsers.small_unet import SmallUNet
from models.weights import WeightsError


def _batch(count=4, size=32):
    """Skin on hair; the second half of the images has coarse labels only."""
    torch.manual_seed(0)
    inside = torch.zeros(count, size, size, dtype=torch.bool)
    for i in range(count):
        inside[i, 6 + 2 * i:20 + 2 * i, 8:24] = True
    images = torch.where(inside, 0.7, -0.7)[:, None] + 0.1 * torch.randn(count, 3, size, size)
    labels = torch.where(inside, PARTS.index('skin'), PARTS.index('hair'))
    coarse = torch.where(inside, list(COARSE).index('skin'), list(COARSE).index('hair'))
    labels[count // 2:], coarse[:count // 2] = IGNORED, IGNORED
    return ParsingBatch(images, labels, coarse)


def test_both_losses_decrease():
    torch.manual_seed(0)
    training, batch = ParserTraining(ParserTrainingConfig(size=32)), _batch()
    optimizer, history = torch.optim.Adam(training.param_groups()['parser'], 5e-3), []
    for step in range(10):
        losses = training('parser', batch, step, {})
        history.append({name: loss.item() for name, loss in losses.items()})
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    assert set(history[0]) == {'labels', 'coarse'}
    assert all(history[-1][name] < 0.5 * history[0][name] for name in history[0])
    columns = training.eval().panel(batch)
    assert all(column.shape == (4, 3, 32, 32) for column in columns.values())
    assert torch.equal(columns['labels'][0, :, 0, 0], columns['parser'][0, :, 0, 0]), 'columns differ in the color of hair'


def test_loss_of_weight_zero_is_not_computed():
    training = ParserTraining(ParserTrainingConfig(size=32, weights={'labels': 1, 'coarse': 0}))
    assert list(training('parser', _batch(), 0, {})) == ['labels']


def test_marginal_cross_entropy_of_single_classes_is_cross_entropy():
    logits, labels = torch.randn(2, 5, 4, 4), torch.randint(5, (2, 4, 4))
    labels[0, 0] = IGNORED
    plain = F.cross_entropy(logits, labels, ignore_index=IGNORED)
    assert torch.allclose(marginal_cross_entropy(logits, labels), plain)
    assert torch.allclose(marginal_cross_entropy(logits, labels, tuple((i,) for i in range(5))), plain, atol=1e-6)


def test_label_of_several_classes_sums_their_probabilities():
    logits = torch.log(torch.tensor([0.1, 0.2, 0.3, 0.4])).view(1, 4, 1, 1)
    loss = marginal_cross_entropy(logits, torch.tensor([[[1]]]), ((0,), (1, 3)))
    assert loss.item() == pytest.approx(-torch.log(torch.tensor(0.6)).item())


def test_ignored_pixels_have_no_gradient():
    logits, labels = torch.randn(1, 5, 4, 4, requires_grad=True), torch.full((1, 4, 4), 2)
    labels[:, :2] = IGNORED
    marginal_cross_entropy(logits, labels).backward()
    assert (logits.grad[:, :, :2] == 0).all() and (logits.grad[:, :, 2:] != 0).any()
    assert marginal_cross_entropy(logits, torch.full_like(labels, IGNORED), ((0, 1), (2,))).item() == 0


def test_every_part_has_one_coarse_class():
    assert set().union(*COARSE_MEMBERS) == set(range(len(PARTS)))
    logits = torch.zeros(1, 19, 1, 1)
    logits[:, PARTS.index('l_brow')] = 9
    assert coarse_labels(logits).item() == list(COARSE).index('hair')


def test_saved_parser_equals_the_trained_one(tmp_path):
    training, images = ParserTraining(ParserTrainingConfig(size=32)).eval(), _batch().images
    file = tmp_path / 'parser.safetensors'
    file.write_bytes(parser_bytes(training))
    assert read_state(file)['out.0.weight'].dtype == torch.float16 and file.stat().st_size < 2e6
    assert torch.allclose(load_trained(file, 32)(images), training.network(images), atol=0.02)
    (tmp_path / 'other.safetensors').write_bytes(b'nothing')
    with pytest.raises(WeightsError, match='other.safetensors'):
        load_trained(tmp_path / 'other.safetensors')


def test_small_unet_parameters_and_output_size():
    with torch.device('meta'):
        network = SmallUNet()
    assert sum(value.numel() for value in network.state_dict().values()) == 467123
    assert network(torch.empty(2, 3, 64, 48, device='meta')).shape == (2, 19, 64, 48)


@pytest.mark.parametrize('name', ['parsing-unet-small', 'bisenet'])
def test_order_of_published_parsers_is_a_permutation(name):
    assert sorted(PARSERS[name][1]['order']) == list(range(19))


def test_small_unet_sides_are_those_of_the_subject():
    to_celebamask = [0, 11, 6, 1, 9, 5, 2, 16, 8, 3, 12, 7, 14, 13, 10, 17, 18, 4, 15]  # published class -> id in CelebAMask-HQ
    order = PARSERS['parsing-unet-small'][1]['order']
    official = {part: PARTS[to_celebamask[order[i]]] for i, part in enumerate(PARTS)}
    assert (official['l_eye'], official['r_brow'], official['l_ear']) == ('r_eye', 'l_brow', 'r_ear')
    assert all(official[part] == part for part in PARTS if part.split('_')[-1] not in ('eye', 'brow', 'ear'))


def test_celebahq_template_is_a_crop_of_the_celeba_canvas():
    matrix = geometry.between(geometry.template('celeba'), geometry.template('celebahq'))
    assert torch.allclose(matrix, torch.tensor([[1.0, 0, -13], [0, 1, -40]]), atol=1e-4)
