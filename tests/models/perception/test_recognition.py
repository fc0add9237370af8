"""What the terms of a recogniser teach, and what it refuses."""
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from models.base import Perception
from models.batch import FaceBatch
from models.perception.mobilefacenet import MobileFaceNet
from models.perception.recognition import HEADS, Recognizer, RecognizerConfig, encoder_bytes, frame, load_encoder


class _Teacher(nn.Module):
    """Embeds by the mean colours of the four quarters."""

    def __init__(self, width=12):
        super().__init__()
        self.width = width

    def forward(self, pictures, *, template):
        assert template == 'arcface'
        return F.normalize(F.adaptive_avg_pool2d(pictures, 2).flatten(1)[:, :self.width])


def _build(people=6, teacher=None, **given):
    config = RecognizerConfig(size=32, embedding=12, people=people, **given)
    return Recognizer(config, teacher and Perception(teacher, teacher))


def _faces(people=4, each=2):
    """Each person is a colour pattern under a little noise."""
    torch.manual_seed(0)
    looks = torch.rand(people, 3, 4, 4) * 2 - 1
    person = torch.arange(people).repeat(each)
    pictures = F.interpolate(looks, 32)[person] + 0.1 * torch.randn(len(person), 3, 32, 32)
    return FaceBatch(pictures.clamp(-1, 1), person)


def _train(recognizer, faces, term, steps=12):
    """The term before and after a few steps."""
    optimiser, seen = torch.optim.Adam(recognizer.players()['encoder'], 3e-3), []
    for step in range(steps):
        terms = recognizer.train()('encoder', faces, step)
        assert list(terms) == [term]
        seen.append(terms[term].item())
        optimiser.zero_grad()
        terms[term].backward()
        optimiser.step()
    return seen[0], seen[-1]


@pytest.mark.parametrize('head', HEADS)
def test_each_head_learns_to_tell_people_apart(head):
    torch.manual_seed(0)
    recognizer, faces = _build(head=head), _faces()
    first, last = _train(recognizer, faces, 'margin')
    assert last < 0.7 * first
    identities = F.normalize(recognizer.embed(faces.pictures))
    nearest = (identities @ identities.t()).fill_diagonal_(-1).argmax(1)
    assert (faces.person[nearest] == faces.person).all()


def test_distillation_moves_the_embedding_to_the_teachers():
    torch.manual_seed(0)
    recognizer = _build(people=0, teacher=_Teacher(), weights={'margin': 0, 'distill': 1})
    first, last = _train(recognizer, _faces(), 'distill')
    assert last < 0.5 * first


def test_hints_make_the_student_see_what_the_teacher_sees():
    class Seeing(_Teacher):
        def __init__(self):
            super().__init__()
            self.network = MobileFaceNet(12, 32, 32).eval()

        def identity_and_maps(self, pictures, count, *, template):
            maps = self.network.features(pictures[..., 8:24] if self.cut else pictures, count)
            return F.normalize(torch.ones(len(pictures), 12)), maps

    for cut in (False, True):
        torch.manual_seed(0)
        teacher = Seeing()
        teacher.cut = cut
        recognizer = _build(people=0, teacher=teacher, mixup=0.5, weights={'margin': 0, 'hints': 1})
        first, last = _train(recognizer, _faces(), 'hints')
        assert last < 0.7 * first


def test_people_of_other_partitions_have_no_margin():
    recognizer = _build(teacher=_Teacher(), weights={'margin': 1, 'distill': 1}).eval()
    strangers = FaceBatch(_faces().pictures, torch.full((8,), 99))
    assert list(recognizer('encoder', strangers, 0)) == ['distill']


@pytest.mark.parametrize(('given', 'message'), [
    ({'people': 1}, '2 people'),
    ({'weights': {'margin': 0, 'distill': 1}}, 'teacher'),
    ({'network': 'iresnet18'}, 'model.size=112'),
    ({'mixup': 0.5}, 'model.mixup=0'),
])
def test_a_config_without_means_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        _build(**given)


def test_a_teacher_of_another_width_is_named():
    recognizer = _build(people=0, teacher=_Teacher(6), weights={'margin': 0, 'distill': 1})
    with pytest.raises(ValueError, match='model.embedding=6'):
        recognizer('encoder', _faces(), 0)


def test_the_frozen_scale_of_iresnet_is_not_trained():
    recognizer = Recognizer(RecognizerConfig(network='iresnet18', embedding=8, people=3), None)
    learned = {id(parameter) for parameter in recognizer.players()['encoder']}
    assert id(recognizer.network.features.weight) not in learned and id(recognizer.head.weight) in learned


def test_the_written_encoder_embeds_as_the_recogniser_did(tmp_path):
    recognizer, faces = _build().eval(), _faces()
    file = tmp_path / 'encoder.safetensors'
    file.write_bytes(encoder_bytes(recognizer))
    embedder, template = load_encoder(file)
    assert embedder.template == frame(recognizer.config)
    expected = F.normalize(recognizer.embed(faces.pictures))
    assert torch.allclose(embedder(faces.pictures, template=template), expected, atol=1e-5)
    (tmp_path / 'other.safetensors').write_bytes(b'nothing')
    with pytest.raises(ValueError, match='other.safetensors'):
        load_encoder(tmp_path / 'other.safetensors')
