"""Temporal smoothing of landmarks, generated faces and masks."""
import numpy as np

from models.pipelines.video.smoothing import OneEuroFilter, TemporalSmoothing


def test_one_euro_filter_smooths_rest_and_follows_motion():
    noise = np.random.default_rng(0).normal(0, 1, (100, 5, 2))
    at_rest, outputs = OneEuroFilter(), []
    for value in noise:
        outputs.append(at_rest(value + 50, 0.04, 100))
    assert np.std(outputs[20:], axis=0).mean() < 0.6
    in_motion = OneEuroFilter()
    for step in range(50):
        value = np.full((5, 2), 12.0 * step)
        output = in_motion(value, 0.04, 100)
    assert np.abs(output - value).max() < 12, 'a delay of less than a frame'
    assert (OneEuroFilter()(noise[0], 0.0, 100) == noise[0].astype(np.float32)).all(), 'the first value is unchanged'


def test_temporal_smoothing_holds_static_regions_only():
    smoothing, still, outputs = TemporalSmoothing(), np.zeros((32, 32, 3), np.float32), []
    flicker = np.random.default_rng(0).uniform(-0.2, 0.2, (20, 32, 32, 3)).astype(np.float32)
    for generated in flicker:
        outputs.append(smoothing.smooth_face(still, generated))
    assert np.abs(np.diff(outputs[5:], axis=0)).mean() < 0.6 * np.abs(np.diff(flicker[5:], axis=0)).mean()
    moved = still.copy()
    moved[:16] = 1
    after = smoothing.smooth_face(moved, np.ones((32, 32, 3), np.float32))
    assert after[:10].min() > 0.99 and after[24:].max() < 0.7


def test_moving_occluder_is_not_smeared():
    """A black bar moves down a face of 64 pixels by 6 pixels per frame."""
    smoothing, generated = TemporalSmoothing(), np.full((64, 64, 3), 0.8, np.float32)
    for top in range(8, 50, 6):
        face, mask = np.zeros((64, 64, 3), np.float32), np.ones((256, 256), np.float32)
        face[top:top + 6], mask[4 * top:4 * top + 24] = -1, 0
        smoothing.smooth_face(face, generated)
        smoothed = smoothing.smooth_mask(mask)
        assert smoothed[4 * top + 4:4 * top + 20].max() < 0.05
        assert smoothed[4 * max(top - 7, 0):4 * top - 5].min(initial=1) > 0.95
    smoothing.smooth_face(face, generated)
    smoothed = smoothing.smooth_mask(np.zeros((256, 256), np.float32))
    assert 0.3 < smoothed[10:20].mean() < 0.7, 'the mask of a static face is smoothed'
