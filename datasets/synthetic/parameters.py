"""Parameters of rendered faces: named identity and attribute vectors, and their distributions.

Both are float32 vectors in the order of the names. Entries of an identity are in [-1, 1], where 0 is the mean face; scaling an
identity exaggerates it. Switches (beard, freckles, bald ...) are on above 0. Identity k is a function of (seed, k), the
attributes of image i are a function of (seed, i). In the formulas of this package, `v` is an identity and `a` are attributes, as
dicts by name.
"""
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

Parameters = Mapping[str, float]

IDENTITY = (
    # shape of the head
    'head_width', 'forehead_height', 'jaw_width', 'chin_length', 'chin_width', 'cheekbones', 'cheek_fullness', 'ear_size',
    # features
    'eye_distance', 'eye_size', 'eye_opening', 'eye_slant', 'eye_height', 'eye_depth', 'lid_crease',
    'brow_height', 'brow_thickness', 'brow_arch', 'brow_slant',
    'nose_length', 'nose_width', 'nose_bridge', 'nose_tip',
    'mouth_width', 'mouth_height', 'lip_upper', 'lip_lower',
    # colors and surface
    'skin_tone', 'skin_warmth', 'skin_blush', 'freckles', 'iris_tone', 'iris_hue', 'lip_color', 'makeup', 'age',
    # hair
    'hair_tone', 'hair_red', 'hair_gray', 'hair_length', 'hair_volume', 'hair_curl', 'hairline', 'fringe', 'parting', 'bald',
    'beard',
)
SHAPE = IDENTITY[:IDENTITY.index('skin_tone')]  # entries scaled by exaggerate

# name -> (lowest, highest); angles in degrees, everything else without unit.
ATTRIBUTE_RANGES = {
    'yaw': (-40, 40),                    # positive: the nose moves to the viewer's right
    'pitch': (-22, 22),                  # positive: the nose moves down
    'roll': (-15, 15),                   # positive: clockwise for the viewer
    'mouth_open': (0, 1), 'smile': (-1, 1), 'brow_raise': (-1, 1), 'eye_close': (0, 1), 'gaze_x': (-1, 1), 'gaze_y': (-1, 1),
    'light_azimuth': (-75, 75),          # positive: from the viewer's right
    'light_elevation': (-10, 60),        # positive: from above
    'light_strength': (0, 1),            # directional fraction of the light
    'light_warmth': (-1, 1), 'exposure': (-1, 1),
    'background_hue': (0, 1), 'background_saturation': (0, 1), 'background_value': (0, 1), 'background_contrast': (0, 1),
    'background_pattern': (0, 1),        # selects the pattern; not continuous
    'cloth_hue': (0, 1), 'cloth_saturation': (0, 1), 'cloth_value': (0, 1), 'collar': (-1, 1),
    'glasses': (-1, 1),                  # worn above 0; the value selects the frame
    'blur': (0, 1),                      # 1: a Gaussian of 1.5 % of the side
}
ATTRIBUTES = tuple(ATTRIBUTE_RANGES)
_LOW, _HIGH = np.array(list(ATTRIBUTE_RANGES.values()), np.float64).T
_FEMININE = {'jaw_width': -0.3, 'chin_width': -0.25, 'chin_length': -0.15, 'brow_thickness': -0.35, 'brow_arch': 0.25,
             'brow_height': 0.25, 'eye_size': 0.2, 'eye_depth': -0.25, 'nose_width': -0.2, 'lip_upper': 0.2, 'lip_lower': 0.2,
             'cheek_fullness': 0.05, 'ear_size': -0.1}  # half of the mean difference


def named(vector: ArrayLike, names: Sequence[str]) -> dict[str, float]:
    """name -> value. Raises ValueError for a vector of another length or a value that is not finite."""
    values = np.asarray(vector, np.float64)
    if values.shape != (len(names),):
        raise ValueError(f'expected a vector of {len(names)} values ({names[0]} ... {names[-1]}), got shape {values.shape}')
    if not np.isfinite(values).all():
        raise ValueError('the identity or the attributes contain a value that is not finite')
    return dict(zip(names, values.tolist()))


def _generator(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))


def sample_identity(seed: int, k: int) -> np.ndarray:
    """(len(IDENTITY),) float32: identity k. Entries are correlated: dark skin with dark hair and eyes, beards and
    baldness with heavy jaws and brows, gray hair with age."""
    rng = _generator(seed, k, 1)
    v = dict(zip(IDENTITY, (0.5 * rng.standard_normal(len(IDENTITY))).tolist()))
    u = dict(zip(IDENTITY, rng.random(len(IDENTITY)).tolist()))  # uniform in [0, 1)
    feminine = rng.random() < 0.5
    sign = 1.0 if feminine else -1.0
    for name, shift in _FEMININE.items():
        v[name] += sign * shift
    v['skin_tone'] = 2 * u['skin_tone'] ** 1.15 - 1
    v['age'] = 2 * u['age'] ** 1.5 - 1
    darkness = v['skin_tone']
    v['hair_tone'] = 1.9 * u['hair_tone'] - 1 - max(darkness + 0.2, 0) * 1.6
    v['hair_red'] = 2 * u['hair_red'] - 1 - 0.8 * (darkness > 0)
    v['hair_gray'] = 2.2 * v['age'] - 1.0 + 0.3 * v['hair_gray']
    v['iris_tone'] = 2 * u['iris_tone'] - 1 - max(darkness + 0.3, 0) * 1.8
    v['iris_hue'] = 2 * u['iris_hue'] - 1
    v['freckles'] = 2 * u['freckles'] - 1 - 0.5 * (darkness > 0)
    v['makeup'] = 2 * u['makeup'] - 1 if feminine else -1
    v['hair_length'] = 1.5 * u['hair_length'] - 0.5 if feminine else 0.9 * u['hair_length'] ** 2 - 1
    v['fringe'] = 2 * u['fringe'] - 1
    v['parting'] = 2 * u['parting'] - 1
    v['hair_curl'] = 2 * u['hair_curl'] - 1 + 0.5 * max(darkness, 0)
    v['bald'] = -1 if feminine else 2 * u['bald'] - 1.7 + 0.4 * v['age']
    v['beard'] = -1 if feminine else 2.2 * u['beard'] - 1.2
    return np.minimum(np.maximum(list(v.values()), -1), 1).astype(np.float32)


def sample_attributes(seed: int, index: int) -> np.ndarray:
    """(len(ATTRIBUTES),) float32: pose, expression, light, background, clothes, glasses and blur of image `index`."""
    rng = _generator(seed, index, 2)
    a = dict(zip(ATTRIBUTES, (_LOW + (_HIGH - _LOW) * rng.random(len(ATTRIBUTES))).tolist()))
    n = dict(zip(ATTRIBUTES, rng.standard_normal(len(ATTRIBUTES)).tolist()))  # standard normal
    a |= {'yaw': 15 * n['yaw'], 'pitch': 7 * n['pitch'], 'roll': 4 * n['roll'],
          'mouth_open': max(0, 0.35 * n['mouth_open']), 'smile': 0.3 + 0.4 * n['smile'], 'brow_raise': 0.35 * n['brow_raise'],
          'eye_close': max(0, 0.12 * n['eye_close']) if rng.random() > 0.03 else 1.0,
          'gaze_x': 0.35 * n['gaze_x'], 'gaze_y': 0.2 * n['gaze_y'],
          'light_azimuth': 35 * n['light_azimuth'], 'light_elevation': 25 + 14 * n['light_elevation'],
          'light_warmth': 0.4 * n['light_warmth'], 'exposure': 0.35 * n['exposure'],
          'glasses': a['glasses'] if rng.random() < 0.25 else -1,
          'blur': max(0, 0.35 * n['blur'] - 0.1),
          'background_saturation': 0.7 * a['background_saturation'] ** 1.5,
          'cloth_saturation': 0.8 * a['cloth_saturation'] ** 1.3}
    return np.minimum(np.maximum(list(a.values()), _LOW), _HIGH).astype(np.float32)


def exaggerate(identity: ArrayLike, factor: float = 2.0) -> np.ndarray:
    """(len(IDENTITY),) float32: the identity with its shape entries scaled and clamped to [-1.8, 1.8], as in a caricature."""
    is_shape = np.array([name in SHAPE for name in IDENTITY])
    identity = np.asarray(identity, np.float32)
    return np.where(is_shape, np.clip(identity * np.float32(factor), -1.8, 1.8), identity).astype(np.float32)
