"""Face swapping in photos: alignment, choice of faces, references."""
import numpy as np
import pytest
import torch

from models import geometry
from models.pipelines.photo import FaceSwapper, choose, crop_face
from tests.models.stubs import FixedDetector, FunctionFamily, OvalParser, face_at, perception, photo

SOURCE = {(100, 120): [face_at(60, 50, 20)]}


def swapper(paint, faces, *, size=64, parser=None, color=False):
    return FaceSwapper(FunctionFamily(paint, size), perception(parser), FixedDetector(faces), color=color)


# Alignment

@pytest.mark.parametrize('face', [face_at(300, 200, 90), face_at(120, 130, 30, 35), face_at(400, 300, 60, -80)])
def test_crop_has_the_landmarks_of_the_template(face):
    image = np.zeros((420, 560, 3), np.uint8)
    yy, xx = np.mgrid[:420, :560]
    radius = np.linalg.norm(face.points[1] - face.points[0]) / 8
    for x, y in face.points:
        image[np.hypot(xx - x, yy - y) < radius] = 255
    crop = crop_face(image, face.points, 64)[0, 0]
    # The best similarity maps the points of face_at to within a pixel of the template's.
    for x, y in geometry.template('face').scaled(64).points:
        assert crop[round(y), round(x)] > 0.5
    assert (crop > 0).float().mean() < 0.06


def test_crop_is_independent_of_the_surroundings():
    image, face = photo(500, 700), face_at(350, 250, 40, 12)
    part = crop_face(image[130:380, 210:500], face.points - [210, 130], 64)
    torch.testing.assert_close(crop_face(image, face.points, 64), part, atol=2e-2, rtol=0)


def test_crop_of_a_face_partly_outside_the_photo_is_finite():
    crop = crop_face(photo(200, 200), face_at(2, 190, 60).points, 64)
    assert crop.shape == (1, 3, 64, 64) and torch.isfinite(crop).all()


# Choice of faces

def test_batch_holds_source_embeddings_and_target_landmarks():
    batches = []

    def paint(batch):
        batches.append(batch)
        return batch.target

    faces = {(300, 400): [face_at(200, 160, 70), face_at(60, 60, 30)], **SOURCE}
    red, blue = np.full((100, 120, 3), [250, 10, 10], np.uint8), np.full((300, 400, 3), [10, 10, 250], np.uint8)
    swapper(paint, faces, parser=OvalParser()).swap(red, blue, target_face='all')
    batch, = batches
    assert len(batch) == 2 and not batch.same.any()
    assert batch.source[:, 0].mean() > 0.9 > -0.9 > batch.target[:, 0].mean()
    torch.testing.assert_close(batch.source_embedding.norm(dim=1), torch.ones(2))
    assert (batch.source_embedding[:, 0] > batch.source_embedding[:, 2]).all()
    expected = torch.tensor(geometry.template('face').scaled(64).points).expand(2, 5, 2)
    assert (batch.target_landmarks - expected).abs().max() < 1


def test_swap_replaces_the_chosen_faces():
    targets = [face_at(200, 160, 70), face_at(60, 60, 30), face_at(350, 60, 20)]
    white = swapper(lambda batch: torch.ones_like(batch.target), {(300, 400): targets, **SOURCE}, parser=OvalParser())

    def replaced(**choice):
        result = white.swap(photo(100, 120), np.zeros((300, 400, 3), np.uint8), **choice)
        noses = [face.points[2].round().astype(int) for face in targets]
        return [int(result.image[y, x, 0] == 255) for x, y in noses], result.notes

    assert replaced()[0] == [1, 0, 0] and any('3 faces' in note for note in replaced()[1])
    assert replaced(target_face='1') == ([0, 1, 0], [])
    assert replaced(target_face=2) == ([0, 0, 1], [])
    assert replaced(target_face='all') == ([1, 1, 1], [])


def test_choose_raises_without_a_matching_face():
    single, double = [face_at(0, 0, 20)], [face_at(0, 0, 30), face_at(90, 0, 20)]
    for faces, choice, message in (([], 'largest', 'no face was found in the target'), (double, None, '2 faces'),
                                   (double, '2', 'largest, or'), (double, 'first', "'first'"), (single, '-1', "'-1'"),
                                   (single, 1, 'is no face')):
        with pytest.raises(ValueError, match=message) as caught:
            choose(faces, choice, 'target')
        assert '\n' not in str(caught.value)
    assert choose(single, None, 'source') == single


def test_swap_raises_for_an_ambiguous_source():
    plain = swapper(lambda batch: batch.target, {(300, 400): [face_at(0, 0, 20)],
                                                 (100, 120): [face_at(0, 0, 30), face_at(90, 0, 20)]})
    with pytest.raises(ValueError, match='source shows 2 faces'):
        plain.swap(photo(100, 120), photo(300, 400))
    with pytest.raises(ValueError, match='one face can be the source'):
        plain.swap(photo(100, 120), photo(300, 400), source_face='all')


# References

def test_references_select_faces_by_id_similarity():
    """The embedding of the stub is the mean color of a face."""
    targets = [face_at(300, 100, 30), face_at(100, 100, 26)]
    faces = {(200, 400): targets, (90, 90): [face_at(45, 45, 16)], (91, 91): [face_at(45, 45, 16)], (92, 92): []}
    target = np.full((200, 400, 3), [255, 0, 0], np.uint8)
    target[:, :200] = [0, 0, 255]
    red, blue = np.full((90, 90, 3), [255, 0, 0], np.uint8), np.full((91, 91, 3), [0, 0, 255], np.uint8)
    copier = swapper(lambda batch: batch.source, faces, parser=OvalParser())

    def noses(result):
        return [result.image[y, x].tolist() for x, y in (face.points[2].round().astype(int) for face in targets)]

    assert noses(copier.swap(red, target, reference=blue)) == [[255, 0, 0], [255, 0, 0]]
    both = copier.swap_identities(target, [(red, blue), (blue, red)])
    assert noses(both) == [[0, 0, 255], [255, 0, 0]] and both.notes == []
    assert both.coverage[100, 100] > 0.9 and both.coverage[100, 200] == 0
    single = copier.swap_identities(target, [(blue, red)])
    assert noses(single) == [[255, 0, 0], [255, 0, 0]] and len(single.targets) == 1
    with pytest.raises(ValueError, match='reference 0'):
        copier.swap(red, target, reference=np.zeros((92, 92, 3), np.uint8))


def test_swap_raises_if_no_face_matches_a_reference(monkeypatch):
    plain = swapper(lambda batch: batch.target, {(300, 400): [face_at(200, 160, 70)], **SOURCE}, parser=OvalParser())
    monkeypatch.setattr(plain, 'embed', lambda image, faces: torch.eye(2)[[int(len(image) == 100)]].expand(len(faces), 2))
    for call in (lambda: plain.swap(photo(100, 120), photo(300, 400), reference=photo(100, 120)),
                 lambda: plain.swap_identities(photo(300, 400), [(photo(100, 120), photo(100, 120))])):
        with pytest.raises(ValueError, match='in the target') as caught:
            call()
        assert '\n' not in str(caught.value)
