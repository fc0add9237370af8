"""Face tracking: new and returning faces, references, cuts, and the saved state."""
import numpy as np
import pytest
import torch

from models.pipelines.video.tracking import Tracker
from tests.models.pipelines.video.stubs import BLUE, RED, Discs, embed_color, moving, scene


def follow(tracker, frames, first=0):
    return tracker.follow(frames, [0.04 * (first + i) for i in range(len(frames))])


def test_new_face_is_followed_back_to_its_first_frame():
    tracker = Tracker(Discs(), embed_color)
    appearing = [scene((40, 30, 9, RED)) if i >= 5 else scene() for i in range(12)]
    assert [len(row) for row in follow(tracker, appearing)] == [0] * 5 + [1] * 7
    vanishing = [scene((40, 30, 9, RED)) if i < 4 else scene() for i in range(12)]
    assert [len(row) for row in follow(tracker, vanishing, 12)] == [1] * 4 + [0] * 8


@pytest.mark.parametrize('choice, positions', [('largest', (25, 25, None, 80)), ('1', (70, 70, 70, 30))])
def test_chosen_identity_is_kept(choice, positions):
    """The choice refers to the sizes in the first frame, also after the identity changes its size, leaves and returns."""
    shots = ([scene((25, 30, 12, RED), (70, 40, 8, BLUE))] * 3, [scene((25, 30, 6, RED), (70, 40, 14, BLUE))] * 3,
             [scene((70, 40, 14, BLUE))] * 6, [scene((80, 20, 8, RED), (30, 45, 12, BLUE))] * 3)
    tracker = Tracker(Discs(), embed_color, choice=choice)
    for frames, x in zip(shots, positions):
        for row in follow(tracker, frames):
            assert [face.points[:, 0].mean() for face in row] == ([] if x is None else [pytest.approx(x, abs=6)])


def test_choice_all_selects_every_face():
    rows = follow(Tracker(Discs(), embed_color, choice='all'), [scene((25, 30, 12, RED), (70, 40, 8, BLUE))] * 3)
    assert [len(row) for row in rows] == [2, 2, 2]


def test_references_are_matched():
    references = torch.nn.functional.normalize(torch.tensor([BLUE, (20, 230, 20), RED], dtype=torch.float32), dim=1)
    rows = follow(Tracker(Discs(), embed_color, references=references), [scene((25, 30, 12, RED), (70, 40, 8, BLUE))] * 2)
    assert [[face.reference_index for face in row] for row in rows] == [[2, 0], [2, 0]]
    rows = follow(Tracker(Discs(), embed_color, references=references[:1]), [scene((25, 30, 12, RED))] * 2)
    assert rows == [[], []]


def test_cut_starts_a_new_track_without_smoothing():
    tracker = Tracker(Discs(), embed_color)
    before = follow(tracker, [scene((30, 30, 9, RED))] * 12)
    bright = scene((36, 30, 9, RED), seed=5)
    bright[bright[..., 0] < 200] = 250
    after = follow(tracker, [bright] * 12, 12)
    assert after[0][0].track != before[-1][0].track
    np.testing.assert_allclose(after[0][0].points, Discs().detect(bright)[0].points, atol=1e-4)


def test_restored_tracker_continues_bit_exactly(tmp_path):
    frames = moving(36)
    uninterrupted = Tracker(Discs(), embed_color)
    expected = [follow(uninterrupted, frames[first:first + 12], first) for first in (0, 12, 24)]
    saved, restored = Tracker(Discs(), embed_color), Tracker(Discs(), embed_color)
    follow(saved, frames[:12])
    torch.save(saved.state(), tmp_path / 'state.pt')
    restored.restore(torch.load(tmp_path / 'state.pt', weights_only=True))
    for first, rows in zip((12, 24), expected[1:]):
        for row, expected_row in zip(follow(restored, frames[first:first + 12], first), rows):
            assert [face.track for face in row] == [face.track for face in expected_row]
            np.testing.assert_array_equal(row[0].points, expected_row[0].points)
