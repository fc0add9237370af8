"""WebCaricature's official layout and its lists; two-domain folders behind the same interface."""
import shutil
from pathlib import Path

import numpy as np
import pytest

from datasets.loaders import build_faces, build_pairs
from datasets.transforms.joint import into_frame
from datasets.webcaricature import SETTINGS, five, fold_identities, folds
from models.geometry import TEMPLATES
from tests.datasets.layouts import domains, image, write
from tests.datasets.webcaricatures import webcaricatures


@pytest.fixture(scope='module')
def official(tmp_path_factory):
    return webcaricatures(tmp_path_factory.mktemp('webcaricature'))


@pytest.fixture
def copy(official, tmp_path):
    return shutil.copytree(official, tmp_path / 'copy')


def people(faces):
    return set(faces.identity_names[np.unique(faces.labels)])


def test_the_official_layout_is_read(official):
    faces = build_faces('webcaricature', official)
    assert len(faces) == 80 and len(faces.identity_names) == 20 and faces.columns['drawing'].sum() == 40
    first = faces.columns['landmarks'][0]
    assert first.shape == (17, 2) and np.array_equal(five(first), faces.landmarks(0))
    l_eye, r_eye, nose, l_mouth, r_mouth = faces.landmarks(0)
    assert l_eye[0] < nose[0] < r_eye[0] and l_eye[1] < nose[1] < l_mouth[1] and l_mouth[0] < r_mouth[0]


def test_photos_and_caricatures_are_two_domains_aligned_alike(official):
    pairs = build_pairs('webcaricature', official, 32, 'test')
    assert len(pairs) == 20 and len(pairs.a.faces) == len(pairs.b.faces) == 20
    assert {Path(name).stem[0] for name in pairs.a.faces.files} == {'P'}
    sample = pairs[3]
    assert sample.a.shape == (3, 32, 32) and not sample.paired and sample.a_label == sample.b_label
    points = [into_frame(*domain.read(3), domain.faces.frame, pairs.to)[2] for domain in (pairs.a, pairs.b)]
    assert all((found - pairs.to.tensor()).abs().max() < 3 for found in points)


def test_training_people_of_a_fold_are_the_others(official):
    faces = build_faces('webcaricature', official)
    for kind, setting in (('verification', 'unrestricted'), ('identification', 'c2p')):
        train, test = (build_faces('webcaricature', official, f'{kind}-3{part}') for part in ('', '-test'))
        assert people(train) | people(test) == people(faces) and not people(train) & people(test)
        assert fold_identities(faces, folds(faces, setting)[2]) == {name.casefold() for name in people(test)}
    train, test = (build_faces('webcaricature', official, part) for part in ('train', 'test'))
    assert len(people(train)) == len(people(test)) == 10 and not people(train) & people(test)


@pytest.mark.parametrize('setting', SETTINGS)
@pytest.mark.parametrize('view', [1, 2])
def test_every_fold_compares_drawings_with_photos(official, setting, view):
    faces = build_faces('webcaricature', official)
    found = folds(faces, setting, view)
    assert len(found) == (1 if view == 1 else 10)
    shown = [fold_identities(faces, fold) for fold in found]
    assert sum(map(len, shown)) == len(set.union(*shown)) == (10 if view == 1 else 20)
    for fold in found:
        assert (faces.columns['drawing'][fold.probes] == (setting != 'p2c')).all()
        assert (faces.columns['drawing'][fold.gallery] == (setting == 'p2c')).all()
    if setting == 'restricted':
        first, second = (faces.labels[side] for side in (found[0].probes[found[0].pairs[:, 0]],
                                                          found[0].gallery[found[0].pairs[:, 1]]))
        assert (first == second).mean() == 0.5


def test_lists_with_a_count_of_folds_and_with_paths_are_read(copy):
    expected = [fold.probes.tolist() for setting in ('restricted', 'c2p')
                for fold in folds(build_faces('webcaricature', copy), setting)]
    protocols = copy / 'EvaluationProtocols'
    path = protocols / 'FaceVerification/Restricted/RestrictedView2.txt'
    path.write_text('10\n' + path.read_text().replace('\t', ' '))
    path = protocols / 'FaceIdentification/C2P/FR_Probe_C2P1.txt'
    path.write_text(path.read_text().replace('\t', '/').replace('\n', '.jpg\n'))
    faces = build_faces('webcaricature', copy)
    assert [fold.probes.tolist() for setting in ('restricted', 'c2p') for fold in folds(faces, setting)] == expected


def test_a_missing_image_is_named_unless_it_was_filtered_out(copy):
    (copy / 'OriginalImages/Identity 03/C00002.jpg').unlink()
    faces = build_faces('webcaricature', copy)
    with pytest.raises(ValueError, match='Identity 03 C00002'):
        folds(faces, 'c2p')
    (copy / 'report.csv').write_text('file,kept\n')
    assert sum(len(fold.probes) for fold in folds(faces, 'c2p')) == 39
    assert sum(len(fold.pairs) for fold in folds(faces, 'restricted')) == 78


def test_what_does_not_fit_is_one_sentence(copy, tmp_path):
    with pytest.raises(ValueError, match='neither OriginalImages nor'):
        build_faces('webcaricature', tmp_path)
    with pytest.raises(ValueError, match='verification-K'):
        build_faces('webcaricature', copy, 'verification-11')
    path = copy / 'EvaluationProtocols/FaceVerification/UnRestricted/UnRestrictedView2.txt'
    path.write_text('3\nIdentity 01\t2\t2\n')
    with pytest.raises(ValueError, match="announces in '3'"):
        folds(build_faces('webcaricature', copy), 'unrestricted')
    path.unlink()
    with pytest.raises(ValueError, match='UnRestrictedView2.txt is missing'):
        folds(build_faces('webcaricature', copy), 'unrestricted')
    (copy / 'FacialPoints/Identity 00/P00001.txt').write_text('1 2\n')
    with pytest.raises(ValueError, match='17 lines'):
        build_faces('webcaricature', copy)


def test_two_domains_have_the_same_interface(tmp_path):
    root = domains(tmp_path, a=12, b=9)
    for side in 'AB':
        for i in range(40):
            write(root / f'test{side}/other_{i % 4}__{i:02d}.jpg', image(i, 32, 32))
    faces, test = build_faces('webcaricature', root), build_faces('webcaricature', root, 'test')
    assert faces.frame is None  # the first image is no square
    write(root / 'trainA/a__00.jpg', image(0, 32, 32))
    assert build_faces('webcaricature', root).frame == TEMPLATES['face']
    assert faces.columns['drawing'].sum() == 9 + 3 + 40 and people(test) >= {'other_0', 'other_3'}
    for setting in ('unrestricted', 'c2p', 'p2c'):
        found, again = folds(faces, setting, seed=1), folds(faces, setting, seed=1)
        assert all(np.array_equal(a.probes, b.probes) and np.array_equal(a.gallery, b.gallery) for a, b in zip(found, again))
        probes = np.concatenate([fold.probes for fold in found])
        assert len(found) == 10 and len(probes) == len(set(probes.tolist()))
        assert set(faces.splits[probes]) == {2}
        if setting != 'unrestricted':
            assert all(len(fold.gallery) == len(fold_identities(faces, fold)) for fold in found)
    with pytest.raises(ValueError, match='no lists of pairs'):
        folds(faces, 'restricted')
