"""models.pipelines.translate with stand-ins for networks and detector."""
import numpy as np
import pytest
import torch

from models import weights
from models.base import FamilyConfig
from models.perception.detection import build_detector
from models.pipelines import translate
from models.pipelines.demo import demo_photo
from models.pipelines.translate import FaceTranslator, default_weights, load_translator, translation_sheet
from models.translation.translator import Translator
from models.weights import Entry
from tests.models.stubs import Oval, Planted, face_at, photo


class Dyer(Translator):
    """Gives each image one color: its style, by chance or that of the reference."""

    styled = True

    def __init__(self):
        super().__init__(FamilyConfig(size=32), None)

    def render(self, images, direction, reference, generator):
        style = torch.rand(len(images), 3, 1, 1, generator=generator) if reference is None else reference.mean((2, 3), True)
        return style.expand_as(images)


class Negative(Translator):
    directions = ('a2b',)

    def __init__(self):
        super().__init__(FamilyConfig(size=32), None)

    def render(self, images, direction, reference, generator):
        return -images


PHOTO = photo(200, 300)
FACES = Planted({(200, 300): [face_at(180, 110, 40), face_at(60, 90, 20)]})


def color(image: np.ndarray) -> list[int]:
    assert (image == image[0, 0]).all()
    return image[0, 0].tolist()


def test_each_face_is_translated_and_pasted_where_it_was():
    made = FaceTranslator(Negative(), FACES, parser=Oval()).translate_image(PHOTO, face='all', paste=True)
    assert len(made.faces) == 2 and len(made.pasted) == 1
    for one in made.faces:
        assert np.abs(255 - one.crop.astype(int) - one.translations[0]).max() <= 1
        x, y = one.detection.points.mean(0).round().astype(int)
        assert np.abs(255 - PHOTO[y, x].astype(int) - made.pasted[0][y, x]).max() < 40
    assert (made.pasted[0][:, 280:] == PHOTO[:, 280:]).all()
    assert translation_sheet(made).shape[1] > 4 * 256


def test_a_style_is_a_number_and_the_same_for_every_face_and_image():
    translator = FaceTranslator(Dyer(), FACES)
    made = translator.translate_image(PHOTO, face='all', styles=3)
    colors = [[color(image) for image in one.translations] for one in made.faces]
    assert colors[0] == colors[1]
    assert len({tuple(one) for one in colors[0]}) == 3
    assert color(translator.translate_image(PHOTO, style=2).faces[0].translations[0]) == colors[0][2]


def test_a_reference_gives_the_style():
    translator = FaceTranslator(Dyer(), FACES)
    green = np.zeros((50, 40, 3), np.uint8) + np.array([20, 200, 40], np.uint8)
    reference = translator.align_image(green)
    assert 'no face was found' in reference.note
    made = translator.translate_image(PHOTO, reference=reference)
    assert np.abs(np.array(color(made.faces[0].translations[0])) - [20, 200, 40]).max() <= 1
    assert (made.reference == green[0, 0]).all()


def test_an_aligned_image_needs_no_detector():
    square = photo(32, 32)
    made = FaceTranslator(Negative(), Planted({})).translate_image(np.hstack([np.zeros((32, 8, 3), np.uint8), square,
                                                                      np.zeros((32, 8, 3), np.uint8)]), aligned=True)
    assert np.abs(made.faces[0].crop.astype(int) - square).max() <= 1 and made.faces[0].detection is None


@pytest.mark.parametrize('options, words', [
    ({'styles': 2}, 'supports one translation'), ({'styles': 0}, '1 or more'), ({'face': 7}, 'no face of the image'),
    ({'aligned': True, 'paste': True}, 'nothing to paste')])
def test_what_does_not_go_together_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        FaceTranslator(Negative(), FACES).translate_image(PHOTO, **options)


def test_what_the_family_does_not_know_is_refused():
    with pytest.raises(ValueError, match='does not translate b2a; it knows a2b'):
        FaceTranslator(Negative(), FACES, 'b2a')
    with pytest.raises(ValueError, match='no style from a reference'):
        FaceTranslator(Negative(), FACES).align_image(PHOTO)
    with pytest.raises(ValueError, match='features of parts'):
        FaceTranslator(Negative(), FACES, centers={})
    with pytest.raises(ValueError, match='no face was found in the image'):
        FaceTranslator(Negative(), Planted({})).translate_image(PHOTO)


def test_an_entry_of_the_zoo_becomes_the_default(monkeypatch, tmp_path):
    monkeypatch.setattr(weights, 'ZOO', tmp_path)
    monkeypatch.setattr(translate, 'family_name', lambda path: 'ugatit')
    with pytest.raises(ValueError, match='train one with'):
        default_weights()
    (tmp_path / 'new.safetensors').write_bytes(b'')
    monkeypatch.setitem(weights.TABLE, 'new', Entry('new', 'new.safetensors', '', None, None, '', '', 'safetensors'))
    assert default_weights() == tmp_path / 'new.safetensors'


def test_the_zoos_translator_draws_each_photo_anew():
    translator = FaceTranslator(load_translator(default_weights(), None), build_detector('mtcnn'))
    first, second = (translator.translate_image(demo_photo(name)).faces[0] for name in ('astronaut', 'portrait'))
    drawn = [one.translations[0].astype(int) for one in (first, second)]
    assert all(image.shape == (64, 64, 3) for image in drawn)
    assert all(np.abs(made - one.crop).mean() > 25 for made, one in zip(drawn, (first, second)))
    assert np.abs(drawn[0] - drawn[1]).mean() > 25
