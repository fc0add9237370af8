"""Outlines of a frontal face: polygons of its features and the 68 landmarks of iBUG, in the plane of the face.

Positions are (x, y) in units of the template `face`, x from the axis of the face to the viewer's right, y down from the eye line;
head.Head.lift projects them onto the surface. The points of all curves are an affine function of a few measures, evaluated as one
product with a matrix that is computed when this module is imported. Polygons are arrays of indices of points.
"""
from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from datasets.synthetic.parameters import Parameters

Measures = Mapping[str, float]  # lengths in units

_U = np.linspace(-1, 1, 13)  # along a lid or a lip; 1 is the outer corner of the eye on the viewer's right
_ABS_U = np.abs(_U)
_PARABOLA = 1 - _U ** 2
_V = np.linspace(0, 1, 11)  # along a brow, inner to outer
_ANGLES = np.linspace(0, 2 * np.pi, 20, endpoint=False)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], 1)


def _measures(v: Parameters, a: Parameters, layout: Measures, jaw_drop: float) -> Measures:
    """name -> value of the measures in units, for an identity, attributes, `head.layout` and the opening of the jaw in units."""
    smile, opened, close, makeup = a['smile'], a['mouth_open'], a['eye_close'], max(v['makeup'], 0)
    up = 4.5 * (1 + 0.13 * v['eye_size'] + 0.28 * v['eye_opening'])
    down = 2.7 * (1 + 0.13 * v['eye_size'] + 0.12 * v['eye_opening']) * (1 - 0.25 * max(smile, 0))
    corner, line = layout['mouth_y'] - 0.2 - 2.6 * smile + 1.2 * opened, layout['mouth_y'] + 0.3 + 0.5 * smile
    return {
        'eye_x': layout['eye_x'], 'eye_y': layout['eye_y'], 'eye_half': 9.3 * (1 + 0.13 * v['eye_size']),
        'eye_up': up, 'eye_down': down,
        'slant': 0.5 + 1.7 * v['eye_slant'], 'gap': 2.6 + 0.9 * v['lid_crease'] - 0.6 * v['eye_depth'] + 2.0 * close,
        'lid': -up * (1 - close) + 0.85 * down * close + 0.5 * a['gaze_y'] * (1 - close),
        'lash': 0.6 + 0.55 * makeup, 'reach': 1.0 + 0.8 * makeup,
        'gaze_x': 3.2 * a['gaze_x'], 'gaze_y': layout['eye_y'] - 0.4 + 1.7 * a['gaze_y'],
        'iris': 3.9 * (1 + 0.06 * v['eye_size']),
        'brow_y': layout['brow_y'] + layout['eye_y'] + 2.4 - 3.2 * a['brow_raise'], 'raise': 0.8 * a['brow_raise'],
        'arch': 3.1 + 1.8 * v['brow_arch'], 'fall': 1.6 - 1.6 * v['brow_slant'], 'thick': 1.9 + 0.85 * v['brow_thickness'],
        'mouth_half': layout['mouth_x'] * (1 + 0.11 * smile - 0.10 * opened),
        'line': line, 'bend': corner - line, 'drop': jaw_drop,
        'rise': (0.8 + 1.2 * max(smile, 0)) * opened, 'upper': 4.0 * (1 + 0.42 * v['lip_upper']) * (1 - 0.15 * abs(smile)),
        'lower': 5.2 * (1 + 0.38 * v['lip_lower']) * (1 - 0.12 * abs(smile)),
        'nose_x': layout['nose_x'], 'nose_y': layout['nose_y'], 'mouth_x': layout['mouth_x'], 'mouth_y': layout['mouth_y'],
        'smile': smile,
    }


def _xy(x: ArrayLike, y: ArrayLike) -> np.ndarray:
    """(N,2) from x and y, broadcast."""
    return np.stack(np.broadcast_arrays(x, y), -1)


def _eye(m: Measures) -> dict[str, np.ndarray]:
    """Lids of the eye on the viewer's right, their creases and shadows."""
    x = m['eye_x'] + m['eye_half'] * _U
    axis = m['eye_y'] + 0.6 - m['slant'] * _U
    upper = axis + m['lid'] * (1 - _ABS_U ** 2.3) ** 0.75 * (1 - 0.12 * _U)
    lower = axis + m['eye_down'] * (1 - _ABS_U ** 2.2) ** 0.8 * (1 + 0.15 * _U)
    lash = upper - m['lash'] * (1 + 0.6 * _U) * (1 - 0.4 * _U ** 2) + 0.1
    curves = {'lid': _xy(x, upper), 'under': _xy(x, lower), 'lash': _xy(x + m['reach'] * np.maximum(_U, 0) ** 6, lash),
              'lash_root': _xy(x, upper + 0.35), 'shade': _xy(x, upper + 1.7 * _PARABOLA),
              'rim_top': _xy(x, lower - 0.1), 'rim_low': _xy(x, lower + 0.7),
              'bag_top': _xy(x, lower + 1.3), 'bag_low': _xy(x, lower + 1.3 + 2.6 * _PARABOLA)}
    for name, edge in (('fold', upper), ('hood', axis + 0.2 * m['lid'])):  # feature_points takes the higher of the two
        for part, lift in (('', 0), ('_top', -0.45), ('_low', 0.45)):
            curves[name + part] = _xy(x, edge - m['gap'] * (1 - 0.75 * _U ** 2) + lift * _PARABOLA)
    curves['surround'] = _CIRCLE * np.stack([m['eye_half'] + 1.0, m['eye_up'] + 5.5]) + (m['eye_x'], m['eye_y'])
    return curves


def _irises(m: Measures) -> dict[str, np.ndarray]:
    """Both irises with pupils and highlights."""
    circles = {}
    for prefix, side in (('l_', -1), ('r_', 1)):
        x, y = side * (m['eye_x'] - 0.35) + m['gaze_x'], m['gaze_y']
        for name, r in (('iris', m['iris']), ('ring', 0.8 * m['iris']), ('pupil', 0.42 * m['iris'])):
            circles[prefix + name] = _CIRCLE * r + (x, y)
        circles[prefix + 'glint'] = _CIRCLE * 0.85 + (x + 1.3, y - 1.4)
    return circles


def _brow(m: Measures) -> dict[str, np.ndarray]:
    """The brow on the viewer's right."""
    x = m['eye_x'] - 11.3 + 24.5 * _V
    y = m['brow_y'] + m['raise'] * _V - m['arch'] * np.sin(np.pi * _V ** 1.25) + m['fall'] * (_V - 0.45)
    thick = m['thick'] * np.minimum(1, 0.55 + 2.5 * _V) * (1 - _V ** 2.2 * 0.85)
    return {'brow_top': _xy(x, y - thick), 'brow_low': _xy(x, y + thick), 'brow_arch': _xy(x, y - 0.4 * thick)}


def _mouth(m: Measures) -> dict[str, np.ndarray]:
    """Lips, teeth, tongue and the shadow under the lower lip."""
    x, base = m['mouth_half'] * _U, m['line'] + m['bend'] * _ABS_U ** 1.8
    inner_top = base - m['rise'] * _PARABOLA
    inner_low = base + m['drop'] * (1 - _ABS_U ** 2.3) * 0.9 + 0.1
    top = inner_top - m['upper'] * (1 - _ABS_U) ** 0.7 * (1 - 0.3 * np.exp(-(_U / 0.11) ** 2))
    bottom = base + m['drop'] * (1 - _ABS_U ** 2.6) + m['lower'] * _PARABOLA ** 0.75
    return {
        'top': _xy(x, top), 'inner_top': _xy(x, inner_top), 'inner_low': _xy(x, inner_low), 'bottom': _xy(x, bottom),
        'teeth_top': _xy(x * 0.9, inner_top), 'teeth': _xy(x * 0.9, inner_top + 4.4 * (1 - _ABS_U ** 4)),
        'gums': _xy(x * 0.9, inner_low), 'palate': _xy(x * 0.6, inner_top),
        'tongue': _xy(x * 0.6, inner_low - 3.0 * _PARABOLA), 'tongue_low': _xy(x * 0.6, inner_low),
        'parting_top': _xy(x * 1.05, inner_top - 0.35), 'parting_low': _xy(x * 1.05, inner_top + 0.45),
        'chin_top': _xy(x * 0.6, bottom + 0.8), 'chin_low': _xy(x * 0.6, bottom + 0.8 + 2.2 * _PARABOLA),
    }


def _nose(m: Measures) -> dict[str, np.ndarray]:
    """The right half of the nose, its wing and nostril, bridge and base, and the philtrum."""
    y, w = m['nose_y'], m['nose_x']
    return {
        'nose_side': np.array([(3.4, -3), (4.2, 6), (5.2, y - 8), (w * 0.88, y - 4), (w + 1.0, y - 0.5), (w + 0.6, y + 3),
                               (w * 0.72, y + 5), (3.2, y + 5.6), (0, y + 6.3)]),
        'wing': np.array([(w + 0.6, y - 3), (w + 1.7, y + 0.5), (w + 0.8, y + 3.8), (w + 0.1, y + 3.6), (w + 0.6, y + 0.5)]),
        'nostril': _CIRCLE * (1.9, 1.05) + (w * 0.46, y + 4.2), 'bridge': _xy(0, np.linspace(0.5, y, 4)),
        'base': np.array([(-w * 0.72, y + 4.6), (-w * 0.36, y + 5.4), (0, y + 6.0), (w * 0.36, y + 5.4), (w * 0.72, y + 4.6)]),
        'philtrum_top': _xy(w * 0.8 * _U, y + 5.2), 'philtrum_low': _xy(w * 0.75 * _U, y + 5.2 + 2.4 * _PARABOLA),
    }


def _skin(m: Measures) -> dict[str, np.ndarray]:
    """The nasolabial fold and the upper edge of a beard, on the viewer's right."""
    edge, nose, x, y = m['nose_x'] + 1.5, m['nose_y'], m['mouth_x'], m['mouth_y']
    return {'nose_fold': np.array([(edge + 1, nose - 1), (edge + 6, nose + 7), (x + 5 + m['smile'], y - 3 - m['smile']),
                                   (x + 5.5, y + 3), (x + 4, y + 3), (x + 3.6, y - 3), (edge + 4, nose + 8)]),
            'cheek': np.array([(0, nose + 8), (12, nose + 9), (21, y - 7), (28, 31), (35, 20)])}


def _curves(m: Measures) -> dict[str, np.ndarray]:
    return _eye(m) | _irises(m) | _brow(m) | _mouth(m) | _nose(m) | _skin(m)


def _linearize() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """(measures + 1, 2 * points) float32: derivatives of the points with respect to each measure, then the points where all
    measures are 0; name of a curve -> indices of its points."""
    zeros: defaultdict[str, float] = defaultdict(float)
    origin = dict.fromkeys(_measures(zeros, zeros, zeros, 0.0), 0.0)
    curves = _curves(origin)
    start = np.concatenate(list(curves.values()))
    derivatives = [np.concatenate(list(_curves(origin | {name: 1.0}).values())) - start for name in origin]
    ends = np.cumsum([len(curve) for curve in curves.values()])
    return (np.array([*derivatives, start], np.float32).reshape(len(origin) + 1, -1),
            {name: np.arange(end - len(curve), end) for (name, curve), end in zip(curves.items(), ends)})


_MATRIX, _CURVES = _linearize()
_NUM_POINTS = _MATRIX.shape[1] // 2
_FOLD, _HOOD = [slice(_CURVES[name][0], _CURVES[name + '_low'][-1] + 1) for name in ('fold', 'hood')]


def feature_points(v: Parameters, a: Parameters, layout: Measures, jaw_drop: float) -> np.ndarray:
    """(N,2) float32: the points of all curves, for an identity, attributes, `head.layout` and the opening of the jaw in units."""
    flat = np.array([*_measures(v, a, layout, jaw_drop).values(), 1.0], np.float32) @ _MATRIX
    y = flat[1::2]
    y[_FOLD] = np.minimum(y[_FOLD], y[_HOOD])
    y[_CURVES['teeth']] = np.minimum(y[_CURVES['teeth']], y[_CURVES['gums']])
    y[_CURVES['tongue']] = np.maximum(y[_CURVES['tongue']], y[_CURVES['palate']])
    return flat.reshape(-1, 2)


def _jaw_line() -> tuple[np.ndarray, np.ndarray]:
    """(28,3) vectors from the center of the head to 17 points of the contour, the viewer's left first, and 11 points under the
    jaw, for a chin at height 0; and (28,3) their derivatives with respect to the height of the chin."""
    half = [(-44, -6, 2), (-43.5, 4, 0), (-42.5, 14, 0), (-40.5, 24, 1), (-37.5, 34, 3), (-32, 43, 7), (-24, 51, 13),
            (-13, 58, 19), (0, 60, 22)]
    jaw = np.array([*half, *[(-x, y, z) for x, y, z in half[-2::-1]]])
    edge = np.concatenate([jaw, jaw[3:14] * (1, 1.15, 0.6)])
    below = edge * (0, 1, 0) * (edge[:, 1:2] > 0)
    return (edge - below).astype(np.float32), (below / 60).astype(np.float32)


_JAW, _JAW_SLOPE = _jaw_line()


def jaw_line(layout: Measures, jaw_drop: float) -> np.ndarray:
    """(28,3) float32 vectors from the center of the head to the 17 landmarks of the contour and 11 points under the jaw."""
    return _JAW + _JAW_SLOPE * np.float32(layout['chin_y'] - 8 + jaw_drop)


# ---- polygons: indices of feature points, then of points of the jaw line; ~i is the mirror image of point i -----------------

def _closed(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """The polygon between two curves that run from left to right."""
    return np.concatenate([upper, lower[::-1]])


def _polygons() -> dict[str, list[np.ndarray]]:
    """name -> polygons, of pairs the viewer's left one first; `landmarks` -> the points whose positions are the landmarks."""
    c = _CURVES
    jaw, throat = np.split(_NUM_POINTS + np.arange(28), [17])
    right = {
        'eye': _closed(c['lid'], c['under'][1:-1]), 'surround': c['surround'], 'lash': _closed(c['lash'], c['lash_root']),
        'lid': _closed(c['fold'], c['lash']), 'crease': _closed(c['fold_top'], c['fold_low']),
        'shade': _closed(c['lid'], c['shade']), 'bag': _closed(c['bag_top'], c['bag_low']),
        'rim': _closed(c['rim_top'], c['rim_low']), 'brow': _closed(c['brow_top'], c['brow_low']),
        'nostril': c['nostril'], 'wing': c['wing'], 'fold': c['nose_fold'],
    }
    pairs = {name: [~polygon, polygon] for name, polygon in right.items()}
    pairs |= {name: [c['l_' + name], c['r_' + name]] for name in ('iris', 'ring', 'pupil', 'glint')}
    single = {
        'u_lip': _closed(c['top'], c['inner_top'][1:-1]), 'l_lip': _closed(c['inner_low'], c['bottom'][1:-1]),
        'mouth': _closed(c['inner_top'], c['inner_low']), 'teeth': _closed(c['teeth_top'], c['teeth']),
        'tongue': _closed(c['tongue'], c['tongue_low']), 'parting': _closed(c['parting_top'], c['parting_low']),
        'under_lip': _closed(c['chin_top'], c['chin_low']), 'under_nose': _closed(c['philtrum_top'], c['philtrum_low']),
        'nose': np.concatenate([~c['nose_side'][:-1], c['nose_side'][::-1]]),
    }
    cheeks = np.concatenate([~c['cheek'][:0:-1], c['cheek']])
    single['beard'] = np.concatenate([cheeks, jaw[15:13:-1], throat[::-1], jaw[2:0:-1]])
    arch, corners, under = c['brow_arch'][[0, 2, 5, 8, 10]], c['lid'][[0, 4, 8, 12]], c['under'][[8, 4]]
    outer = np.concatenate([c['top'][[0, 2, 5, 6, 7, 10, 12]], c['bottom'][[10, 8, 6, 4, 2]]])
    inner = np.concatenate([c['teeth_top'][[0, 4, 6, 8, 12]], c['inner_low'][[8, 6, 4]]])
    single['landmarks'] = np.concatenate([jaw, ~arch[::-1], arch, c['bridge'], c['base'], ~corners[::-1], ~under[::-1], corners,
                                          under, outer, inner])  # in the order of iBUG
    return pairs | {name: [polygon] for name, polygon in single.items()}


def _concatenate(polygons_of: Mapping[str, list[np.ndarray]]) -> tuple[np.ndarray, dict[str, list[slice]]]:
    """All polygons in one array, and name -> their slices of it."""
    index = np.zeros(0, int)
    slices: dict[str, list[slice]] = {}
    for name, polygons in polygons_of.items():
        slices[name] = []
        for polygon in polygons:
            slices[name].append(slice(len(index), len(index) + len(polygon)))
            index = np.concatenate([index, polygon])
    return index, slices


_INDEX, OUTLINES = _concatenate(_polygons())
_SIGN = np.stack([np.where(_INDEX < 0, -1, 1), np.ones_like(_INDEX), np.ones_like(_INDEX)], 1).astype(np.float32)
_INDEX = np.where(_INDEX < 0, ~_INDEX, _INDEX)
LANDMARKS = OUTLINES['landmarks'][0]


def outline_points(features: np.ndarray, jaw: np.ndarray) -> np.ndarray:
    """Feature points (N,3) and the jaw line (28,3) on the surface -> (M,3); OUTLINES[name] are the slices of its polygons."""
    return np.concatenate([features, jaw]).take(_INDEX, 0) * _SIGN


def five_points(landmarks: np.ndarray) -> np.ndarray:
    """(68,D) -> (5,D): centers of the eyes, tip of the nose, corners of the mouth."""
    eyes = landmarks[36:48].reshape(2, 6, -1).sum(1) / 6
    return np.concatenate([eyes, landmarks[[30, 48, 54]]])
