"""WebCaricature: official layout, lists, folds, and two-domain folders."""
import shutil
from pathlib import Path

import numpy as np
import pytest

from datasets.loaders import build_pairs
from datasets.registry import build_faces
from datasets.transforms.joint import into_frame
from datasets.webcaricature import SETTINGS, five_landmarks, fold_identities, folds
from models.geometry import TEMPLATES
from tests.datasets.layouts import domains, image, write
from tests.datasets.webcaricatures import webcaricatures


@pytest.fixture(scope='module')
def official(tmp_path_factory):
    return webcaricatures(tmp_path_factory.mktemp('webcaricature'))


@pytest.fixture
def copy(official, tmp_path):
    return shutil.copytree(official, tmp_path / 'copy')


def names_of(faces):
    return set(faces.identity_names[np.unique(faces.labels)])


def test_official_layout_has_images_and_landmarks(official):
    faces = build_faces('webcaricature', official)
    assert len(faces) == 80 and len(faces.identity_names) == 20 and faces.columns['drawing'].sum() == 40
    first = faces.columns['landmarks'][0]
    assert first.shape == (17, 2) and np.array_equal(five_landmarks(first), faces.landmarks(0))
    l_eye, r_eye, nose, l_mouth, r_mouth = faces.landmarks(0)
    assert l_eye[0] < nose[0] < r_eye[0] and l_eye[1] < nose[1] < l_mouth[1] and l_mouth[0] < r_mouth[0]


def test_pairs_of_photos_and_caricatures_are_aligned(official):
    pairs = build_pairs('webcaricature', official, 32, 'test')
    assert len(pairs) == 20 and len(pairs.a.faces) == len(pairs.b.faces) == 20
    assert {Path(name).stem[0] for name in pairs.a.faces.files} == {'P'}
    sample = pairs[3]
    assert sample.a.shape == (3, 32, 32) and not sample.paired and sample.a_label == sample.b_label
    points = [into_frame(*domain.read(3), domain.faces.frame, pairs.to)[2] for domain in (pairs.a, pairs.b)]
    assert all((landmarks - pairs.to.tensor()).abs().max() < 3 for landmarks in points)


def test_train_and_test_identities_of_a_fold_are_disjoint(official):
    faces = build_faces('webcaricature', official)
    for kind, setting in (('verification', 'unrestricted'), ('identification', 'c2p')):
        train, test = (build_faces('webcaricature', official, f'{kind}-3{part}') for part in ('', '-test'))
        assert names_of(train) | names_of(test) == names_of(faces) and not names_of(train) & names_of(test)
        assert fold_identities(faces, folds(faces, setting)[2]) == {name.casefold() for name in names_of(test)}
    train, test = (build_faces('webcaricature', official, part) for part in ('train', 'test'))
    assert len(names_of(train)) == len(names_of(test)) == 10 and not names_of(train) & names_of(test)


@pytest.mark.parametrize('setting', SETTINGS)
@pytest.mark.parametrize('view', [1, 2])
def test_folds_compare_drawings_with_photos(official, setting, view):
    faces = build_faces('webcaricature', official)
    all_folds = folds(faces, setting, view)
    assert len(all_folds) == (1 if view == 1 else 10)
    identities = [fold_identities(faces, fold) for fold in all_folds]
    assert sum(map(len, identities)) == len(set.union(*identities)) == (10 if view == 1 else 20)
    for fold in all_folds:
        assert (faces.columns['drawing'][fold.probes] == (setting != 'p2c')).all()
        assert (faces.columns['drawing'][fold.gallery] == (setting == 'p2c')).all()
    if setting == 'restricted':
        fold = all_folds[0]
        first, second = faces.labels[fold.probes[fold.pairs[:, 0]]], faces.labels[fold.gallery[fold.pairs[:, 1]]]
        assert (first == second).mean() == 0.5


def test_lists_may_hold_the_number_of_folds_and_paths(copy):
    expected = [fold.probes.tolist() for setting in ('restricted', 'c2p')
                for fold in folds(build_faces('webcaricature', copy), setting)]
    protocols = copy / 'EvaluationProtocols'
    path = protocols / 'FaceVerification/Restricted/RestrictedView2.txt'
    path.write_text('10\n' + path.read_text().replace('\t', ' '))
    path = protocols / 'FaceIdentification/C2P/FR_Probe_C2P1.txt'
    path.write_text(path.read_text().replace('\t', '/').replace('\n', '.jpg\n'))
    faces = build_faces('webcaricature', copy)
    assert [fold.probes.tolist() for setting in ('restricted', 'c2p') for fold in folds(faces, setting)] == expected


def test_missing_image_is_an_error_unless_it_was_filtered_out(copy):
    (copy / 'OriginalImages/Identity 03/C00002.jpg').unlink()
    faces = build_faces('webcaricature', copy)
    with pytest.raises(ValueError, match='Identity 03 C00002'):
        folds(faces, 'c2p')
    (copy / 'report.csv').write_text('file,kept\n')
    assert sum(len(fold.probes) for fold in folds(faces, 'c2p')) == 39
    assert sum(len(fold.pairs) for fold in folds(faces, 'restricted')) == 78


def test_malformed_data_set_raises_value_error(copy, tmp_path):
    with pytest.raises(ValueError, match='neither OriginalImages nor'):
        build_faces('webcaricature', tmp_path)
    with pytest.raises(ValueError, match='verification-K'):
        build_faces('webcaricature', copy, 'verification-11')
    path = copy / 'EvaluationProtocols/FaceVerification/UnRestricted/UnRestrictedView2.txt'
    path.write_text('3\nIdentity 01\t2\t2\n')
    with pytest.raises(ValueError, match="stated in '3'"):
        folds(build_faces('webcaricature', copy), 'unrestricted')
    path.unlink()
    with pytest.raises(ValueError, match='UnRestrictedView2.txt is missing'):
        folds(build_faces('webcaricature', copy), 'unrestricted')
    (copy / 'FacialPoints/Identity 00/P00001.txt').write_text('1 2\n')
    with pytest.raises(ValueError, match='17 lines'):
        build_faces('webcaricature', copy)


def test_two_domain_folders_have_random_folds(tmp_path):
    root = domains(tmp_path, a=12, b=9)
    for side in 'AB':
        for i in range(40):
            write(root / f'test{side}/other_{i % 4}__{i:02d}.jpg', image(i, 32, 32))
    faces, test = build_faces('webcaricature', root), build_faces('webcaricature', root, 'test')
    assert faces.frame is None  # the first image is not square
    write(root / 'trainA/a__00.jpg', image(0, 32, 32))
    assert build_faces('webcaricature', root).frame == TEMPLATES['face']
    assert faces.columns['drawing'].sum() == 9 + 3 + 40 and names_of(test) >= {'other_0', 'other_3'}
    for setting in ('unrestricted', 'c2p', 'p2c'):
        first, again = folds(faces, setting, seed=1), folds(faces, setting, seed=1)
        assert all(np.array_equal(a.probes, b.probes) and np.array_equal(a.gallery, b.gallery) for a, b in zip(first, again))
        probes = np.concatenate([fold.probes for fold in first])
        assert len(first) == 10 and len(probes) == len(set(probes.tolist()))
        assert set(faces.splits[probes]) == {2}
        if setting != 'unrestricted':
            assert all(len(fold.gallery) == len(fold_identities(faces, fold)) for fold in first)
    with pytest.raises(ValueError, match='no lists of pairs'):
        folds(faces, 'restricted')
