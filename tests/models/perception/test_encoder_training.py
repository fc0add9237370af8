"""Losses, initial weights and files of the recognizer."""
from typing import get_args

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from models.base import Perception
from models.batch import FaceBatch
from models.losses.contrastive import photo_drawing
from models.perception.build import fingerprint, load_embedder
from models.perception.encoder_files import encoder_bytes, initial_encoder, load_encoder, training_identities
from models.perception.encoders.embedder import Embedder
from models.perception.encoders.family import HEADS, NETWORKS, Architecture, Head, Recognizer, RecognizerConfig, frame
from models.perception.encoders.mobilefacenet import MobileFaceNet


class _Teacher(nn.Module):
    """Embedding of the mean colors of the four quarters."""

    def __init__(self, width=12):
        super().__init__()
        self.width = width

    def forward(self, images, *, template):
        assert template == 'arcface'
        return F.normalize(F.adaptive_avg_pool2d(images, 2).flatten(1)[:, :self.width])


def test_config_lists_every_network_and_head():
    assert get_args(Architecture) == tuple(NETWORKS) and get_args(Head) == tuple(HEADS)


def _build(num_identities=6, teacher=None, **overrides):
    config = RecognizerConfig(size=32, embedding=12, num_identities=num_identities, **overrides)
    return Recognizer(config, teacher and Perception(teacher, teacher))


def _faces(num_identities=4, per_identity=2):
    """Color patterns with noise: `num_identities` patterns, `per_identity` images each."""
    torch.manual_seed(0)
    patterns = torch.rand(num_identities, 3, 4, 4) * 2 - 1
    label = torch.arange(num_identities).repeat(per_identity)
    images = F.interpolate(patterns, 32)[label] + 0.1 * torch.randn(len(label), 3, 32, 32)
    return FaceBatch(images.clamp(-1, 1), label)


def _train(recognizer, faces, loss, steps=12):
    """The loss before and after a few steps."""
    optimizer, history = torch.optim.Adam(recognizer.param_groups()['encoder'], 3e-3), []
    for step in range(steps):
        losses = recognizer.train()('encoder', faces, step, {})
        assert list(losses) == [loss]
        history.append(losses[loss].item())
        optimizer.zero_grad()
        losses[loss].backward()
        optimizer.step()
    return history[0], history[-1]


@pytest.mark.parametrize('head', HEADS)
def test_each_head_separates_identities(head):
    torch.manual_seed(0)
    recognizer, faces = _build(head=head), _faces()
    first, last = _train(recognizer, faces, 'margin')
    assert last < 0.7 * first
    embeddings = F.normalize(recognizer.embed(faces.images))
    nearest = (embeddings @ embeddings.t()).fill_diagonal_(-1).argmax(1)
    assert (faces.label[nearest] == faces.label).all()


def test_distillation_loss_decreases():
    torch.manual_seed(0)
    recognizer = _build(num_identities=0, teacher=_Teacher(), weights={'margin': 0, 'distill': 1})
    first, last = _train(recognizer, _faces(), 'distill')
    assert last < 0.5 * first


def test_hints_loss_decreases():
    class TeacherWithMaps(_Teacher):
        def __init__(self):
            super().__init__()
            self.network = MobileFaceNet(12, 32, 32).eval()

        def embedding_and_maps(self, images, count, *, template):
            maps = self.network.features(images[..., 8:24] if self.cropped else images, count)
            return F.normalize(torch.ones(len(images), 12)), maps

    for cropped in (False, True):
        torch.manual_seed(0)
        teacher = TeacherWithMaps()
        teacher.cropped = cropped
        recognizer = _build(num_identities=0, teacher=teacher, mixup=0.5, weights={'margin': 0, 'hints': 1})
        first, last = _train(recognizer, _faces(), 'hints')
        assert last < 0.7 * first


def test_eval_mode_has_no_margin_loss():
    recognizer = _build(teacher=_Teacher(), weights={'margin': 1, 'distill': 1}).eval()
    unknown = FaceBatch(_faces().images, torch.full((8,), 99))
    assert list(recognizer('encoder', unknown, 0, {})) == ['distill']


@pytest.mark.parametrize(('overrides', 'message'), [
    ({'num_identities': 1}, '2 identities'),
    ({'weights': {'margin': 0, 'distill': 1}}, 'teacher'),
    ({'network': 'iresnet18'}, 'model.size=112'),
    ({'mixup': 0.5}, 'model.mixup=0'),
])
def test_incompatible_config_raises(overrides, message):
    with pytest.raises(ValueError, match=message):
        _build(**overrides)


def test_teacher_of_another_width_raises():
    recognizer = _build(num_identities=0, teacher=_Teacher(6), weights={'margin': 0, 'distill': 1})
    with pytest.raises(ValueError, match='model.embedding=6'):
        recognizer('encoder', _faces(), 0, {})


def test_frozen_scale_of_iresnet_is_no_parameter_of_the_group():
    recognizer = Recognizer(RecognizerConfig(network='iresnet18', embedding=8, num_identities=3), None)
    trainable = {id(parameter) for parameter in recognizer.param_groups()['encoder']}
    assert id(recognizer.network.features.weight) not in trainable and id(recognizer.head.weight) in trainable


def test_saved_encoder_equals_the_recognizer(tmp_path):
    recognizer, faces = _build().eval(), _faces()
    file = tmp_path / 'encoder.safetensors'
    file.write_bytes(encoder_bytes(recognizer))
    embedder, template = load_encoder(file)
    assert embedder.template == frame(recognizer.config)
    expected = F.normalize(recognizer.embed(faces.images))
    assert torch.allclose(embedder(faces.images, template=template), expected, atol=1e-5)
    assert torch.allclose(load_embedder(str(file))(faces.images, template=template), expected, atol=1e-5)
    previous = fingerprint(str(file))
    file.write_bytes(encoder_bytes(_build()))
    assert fingerprint(str(file)) != previous  # other weights under the same name
    (tmp_path / 'other.safetensors').write_bytes(b'nothing')
    with pytest.raises(ValueError, match='other.safetensors'):
        load_embedder(str(tmp_path / 'other.safetensors'))


def test_networks_without_feature_maps_raise():
    network = Recognizer(RecognizerConfig(network='iresnet18', embedding=8, num_identities=3), None).network
    with pytest.raises(ValueError, match='IResNet has no feature maps'):
        Embedder(network, 'arcface').embedding_and_maps(torch.zeros(1, 3, 112, 112), 2)
    with pytest.raises(ValueError, match='iresnet18 has no feature maps'):
        Recognizer(RecognizerConfig(network='iresnet18', embedding=8, num_identities=3, weights={'margin': 1, 'hints': 1}),
                   Perception(_Teacher(8), _Teacher(8)))


def _photo_drawing_pairs(num_identities=4):
    """A photo and a drawing per identity; the drawing is the inverted photo."""
    photos = _faces(num_identities, 1)
    images = torch.stack([photos.images, -photos.images], 1).flatten(0, 1)
    return FaceBatch(images, photos.label.repeat_interleave(2), torch.tensor([False, True] * num_identities))


def test_contrast_loss_decreases_and_matches_drawings_with_photos():
    torch.manual_seed(0)
    recognizer, faces = _build(num_identities=0, weights={'margin': 0, 'contrast': 1}), _photo_drawing_pairs()
    first, last = _train(recognizer, faces, 'contrast', 15)
    assert last < 0.7 * first
    with torch.no_grad():
        embeddings = F.normalize(recognizer.embed(faces.images))
    assert ((embeddings[::2] @ embeddings[1::2].t()).argmax(1) == torch.arange(4)).all()


def test_contrast_uses_pairs_of_photo_and_drawing_only():
    embeddings = torch.eye(4)[[0, 1, 0, 1]]
    label, drawing = torch.tensor([0, 1, 0, 1]), torch.tensor([False, False, True, True])
    right, wrong = photo_drawing(embeddings, label, drawing), photo_drawing(embeddings[[0, 1, 1, 0]], label, drawing)
    assert right < 1e-3 and wrong > 9
    with torch.autocast('cpu', torch.bfloat16):
        torch.testing.assert_close(photo_drawing(embeddings, label, drawing), right, atol=0.05, rtol=0)
    assert photo_drawing(embeddings, label, torch.zeros(4, dtype=torch.bool)) == 0
    incomplete = photo_drawing(embeddings[:3], label[:3], drawing[:3])  # the second photo has no partner
    assert incomplete == pytest.approx(float(photo_drawing(embeddings[[0, 2, 1]], label[[0, 2, 1]], drawing[[0, 2, 1]])))


def test_distillation_target_of_a_drawing_is_its_photo():
    torch.manual_seed(0)
    recognizer = _build(num_identities=0, teacher=_Teacher(), weights={'margin': 0, 'distill': 1}, distill_to='photo')
    faces = _photo_drawing_pairs()
    first, last = _train(recognizer, faces, 'distill', 15)
    assert last < 0.7 * first
    with torch.no_grad():
        drawings = F.normalize(recognizer.embed(faces.images[1::2]))
        photos = _Teacher()(faces.images[::2], template='arcface')
    assert ((drawings @ photos.t()).argmax(1) == torch.arange(4)).all()
    with pytest.raises(ValueError, match='distill_to=own'):
        recognizer('encoder', _faces(), 0, {})


@pytest.mark.parametrize('network', ['mobilefacenet', 'mobilefacenet-96', 'mobilefacenet-insight', 'iresnet18', 'sphere20'])
def test_trains_last_changes_the_last_stage_only(network):
    size = 32 if network == 'mobilefacenet' else 112
    config = RecognizerConfig(network=network, size=size, embedding=8, num_identities=3, trains='last')
    recognizer = Recognizer(config, None).train()
    before = {name: value.clone() for name, value in recognizer.network.state_dict().items()}
    height, width = frame(recognizer.config).height, frame(recognizer.config).width
    faces = FaceBatch(torch.rand(4, 3, height, width), torch.tensor([0, 1, 2, 0]))
    recognizer('encoder', faces, 0, {})['margin'].backward()
    torch.optim.SGD(recognizer.param_groups()['encoder'], 0.1).step()
    changed = {name for name, value in recognizer.network.state_dict().items() if not torch.equal(value, before[name])}
    last = recognizer.network.last_stage
    assert changed and all(name.startswith(last) for name in changed)
    assert all(any(name.startswith(begin) for name in changed) for begin in last)


def test_initial_weights_from_an_encoder_file(tmp_path):
    recognizer, file = _build(), tmp_path / 'encoder.safetensors'
    file.write_bytes(encoder_bytes(recognizer, ['Adele', 'Bob']))
    settings, state, names = initial_encoder(str(file))
    assert settings == {'network': 'mobilefacenet', 'size': 32, 'embedding': 12} and names == ['Adele', 'Bob']
    assert torch.equal(state['linear1.conv.weight'], recognizer.network.linear1.conv.weight)
    file.write_bytes(encoder_bytes(recognizer))
    with pytest.raises(ValueError, match='does not list its training identities'):
        initial_encoder(str(file))


def test_zoo_encoder_lists_its_training_identities():
    names = training_identities('identity-caricature')
    assert len(names) == 179 and initial_encoder('identity-caricature')[2] == names
    assert training_identities('identity-mobilefacenet') is None and initial_encoder('identity-mobilefacenet')[2] == []


def test_initial_weights_from_a_zoo_encoder():
    settings, state, _ = initial_encoder('identity-mobilefacenet')
    network = Recognizer(RecognizerConfig(num_identities=2, **settings), None).network
    network.load_state_dict({name: state[name] for name in network.state_dict()})
    with pytest.raises(ValueError, match='unknown'):
        initial_encoder('unknown')
