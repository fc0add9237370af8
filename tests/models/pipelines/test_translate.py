"""Translation of faces in photos, with stub networks and detectors."""
import numpy as np
import pytest
import torch

from models import weights_table
from models.base import FamilyConfig
from models.perception.detection import build_detector
from models.pipelines import translate
from models.pipelines.demo import demo_photo
from models.pipelines.translate import FaceTranslator, default_weights, load_translator, translation_sheet
from models.translation.translator import Translator
from models.weights_table import Entry
from tests.models.stubs import FixedDetector, OvalParser, face_at, photo


class ColorTranslator(Translator):
    """Paints each image in one color, its style: sampled, or the mean color of the reference."""

    styled = True

    def __init__(self):
        super().__init__(FamilyConfig(size=32), None)

    def render(self, images, direction, reference, generator):
        style = torch.rand(len(images), 3, 1, 1, generator=generator) if reference is None else reference.mean((2, 3), True)
        return style.expand_as(images)


class Negative(Translator):
    """Inverts images; has no styles."""

    directions = ('a2b',)

    def __init__(self):
        super().__init__(FamilyConfig(size=32), None)

    def render(self, images, direction, reference, generator):
        return -images


PHOTO = photo(200, 300)
FACES = FixedDetector({(200, 300): [face_at(180, 110, 40), face_at(60, 90, 20)]})


def color(image: np.ndarray) -> list[int]:
    assert (image == image[0, 0]).all()
    return image[0, 0].tolist()


def test_faces_are_translated_and_pasted():
    result = FaceTranslator(Negative(), FACES, parser=OvalParser()).translate_image(PHOTO, face='all', paste=True)
    assert len(result.faces) == 2 and len(result.pasted) == 1
    for face in result.faces:
        assert np.abs(255 - face.crop.astype(int) - face.translations[0]).max() <= 1
        x, y = face.detection.points.mean(0).round().astype(int)
        assert np.abs(255 - PHOTO[y, x].astype(int) - result.pasted[0][y, x]).max() < 40
    assert (result.pasted[0][:, 280:] == PHOTO[:, 280:]).all()
    assert translation_sheet(result).shape[1] > 4 * 256


def test_style_seed_is_reproducible_for_all_faces_and_images():
    translator = FaceTranslator(ColorTranslator(), FACES)
    result = translator.translate_image(PHOTO, face='all', styles=3)
    colors = [[color(image) for image in face.translations] for face in result.faces]
    assert colors[0] == colors[1]
    assert len({tuple(style) for style in colors[0]}) == 3
    assert color(translator.translate_image(PHOTO, style=2).faces[0].translations[0]) == colors[0][2]


def test_style_is_taken_from_a_reference():
    translator = FaceTranslator(ColorTranslator(), FACES)
    green = np.zeros((50, 40, 3), np.uint8) + np.array([20, 200, 40], np.uint8)
    reference = translator.align_image(green)
    assert 'no face was found' in reference.note
    result = translator.translate_image(PHOTO, reference=reference)
    assert np.abs(np.array(color(result.faces[0].translations[0])) - [20, 200, 40]).max() <= 1
    assert (result.reference == green[0, 0]).all()


def test_aligned_image_is_translated_without_detection():
    square, border = photo(32, 32), np.zeros((32, 8, 3), np.uint8)
    translator = FaceTranslator(Negative(), FixedDetector({}))
    face, = translator.translate_image(np.hstack([border, square, border]), aligned=True).faces
    assert np.abs(face.crop.astype(int) - square).max() <= 1 and face.detection is None


@pytest.mark.parametrize('options, message', [
    ({'styles': 2}, 'supports one translation'), ({'styles': 0}, 'at least 1'), ({'face': 7}, 'no face of the image'),
    ({'aligned': True, 'paste': True}, 'nothing to paste')])
def test_conflicting_options_raise(options, message):
    with pytest.raises(ValueError, match=message):
        FaceTranslator(Negative(), FACES).translate_image(PHOTO, **options)


def test_unsupported_options_of_the_family_raise():
    with pytest.raises(ValueError, match='does not translate b2a; supported: a2b'):
        FaceTranslator(Negative(), FACES, 'b2a')
    with pytest.raises(ValueError, match='no style from a reference'):
        FaceTranslator(Negative(), FACES).align_image(PHOTO)
    with pytest.raises(ValueError, match='features of parts'):
        FaceTranslator(Negative(), FACES, centers={})
    with pytest.raises(ValueError, match='no face was found in the image'):
        FaceTranslator(Negative(), FixedDetector({})).translate_image(PHOTO)


def test_default_weights_are_the_first_translator_of_the_zoo(monkeypatch, tmp_path):
    monkeypatch.setattr(weights_table, 'ZOO', tmp_path)
    monkeypatch.setattr(translate, 'family_name', lambda path: 'ugatit')
    with pytest.raises(ValueError, match='train one with'):
        default_weights()
    (tmp_path / 'new.safetensors').write_bytes(b'')
    monkeypatch.setitem(weights_table.TABLE, 'new', Entry('new', 'new.safetensors', '', None, None, '', '', 'safetensors'))
    assert default_weights() == tmp_path / 'new.safetensors'


def test_translator_of_the_zoo_depends_on_the_photo():
    translator = FaceTranslator(load_translator(default_weights(), None), build_detector('mtcnn'))
    first, second = (translator.translate_image(demo_photo(name)).faces[0] for name in ('astronaut', 'portrait'))
    drawings = [face.translations[0].astype(int) for face in (first, second)]
    assert all(image.shape == (64, 64, 3) for image in drawings)
    assert all(np.abs(drawing - face.crop).mean() > 25 for drawing, face in zip(drawings, (first, second)))
    assert np.abs(drawings[0] - drawings[1]).mean() > 25
