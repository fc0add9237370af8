"""The outlines of a frontal face: polygons and the 68 landmarks in the plane of the face.

Positions are (x, y) in pixels of the template `face`, x from the face's axis to the viewer's right, y down from the eye line;
head.Head.lift puts them onto the surface. Every curve is affine in a few measures, so that one product with a table, filled
when this module is imported, draws them all; polygons are lists of indices into its points.
"""
from collections import defaultdict

import numpy as np

_U = np.linspace(-1, 1, 13)  # along a lid or a lip; 1 is the outer corner of the eye on the viewer's right
_W = np.abs(_U)
_ROUND = 1 - _U ** 2
_V = np.linspace(0, 1, 11)  # along a brow, inner to outer
_TURN = np.linspace(0, 2 * np.pi, 20, endpoint=False)
_RING = np.stack([np.cos(_TURN), np.sin(_TURN)], 1)


def _measures(v: dict, a: dict, at: dict, drop: float) -> dict[str, float]:
    """What the curves are affine in."""
    smile, opened, close, paint = a['smile'], a['mouth_open'], a['eye_close'], max(v['makeup'], 0)
    up = 4.5 * (1 + 0.13 * v['eye_size'] + 0.28 * v['eye_opening'])
    down = 2.7 * (1 + 0.13 * v['eye_size'] + 0.12 * v['eye_opening']) * (1 - 0.25 * max(smile, 0))
    corner, line = at['mouth_y'] - 0.2 - 2.6 * smile + 1.2 * opened, at['mouth_y'] + 0.3 + 0.5 * smile
    return {
        'eye_x': at['eye_x'], 'eye_y': at['eye_y'], 'eye_half': 9.3 * (1 + 0.13 * v['eye_size']), 'eye_up': up, 'eye_down': down,
        'slant': 0.5 + 1.7 * v['eye_slant'], 'gap': 2.6 + 0.9 * v['lid_crease'] - 0.6 * v['eye_depth'] + 2.0 * close,
        'lid': -up * (1 - close) + 0.85 * down * close + 0.5 * a['gaze_y'] * (1 - close),
        'lash': 0.6 + 0.55 * paint, 'reach': 1.0 + 0.8 * paint,
        'gaze_x': 3.2 * a['gaze_x'], 'gaze_y': at['eye_y'] - 0.4 + 1.7 * a['gaze_y'], 'iris': 3.9 * (1 + 0.06 * v['eye_size']),
        'brow_y': at['brow_y'] + at['eye_y'] + 2.4 - 3.2 * a['brow_raise'], 'raise': 0.8 * a['brow_raise'],
        'arch': 3.1 + 1.8 * v['brow_arch'], 'fall': 1.6 - 1.6 * v['brow_slant'], 'thick': 1.9 + 0.85 * v['brow_thickness'],
        'mouth_half': at['mouth_x'] * (1 + 0.11 * smile - 0.10 * opened), 'line': line, 'bend': corner - line, 'drop': drop,
        'rise': (0.8 + 1.2 * max(smile, 0)) * opened, 'upper': 4.0 * (1 + 0.42 * v['lip_upper']) * (1 - 0.15 * abs(smile)),
        'lower': 5.2 * (1 + 0.38 * v['lip_lower']) * (1 - 0.12 * abs(smile)),
        'nose_x': at['nose_x'], 'nose_y': at['nose_y'], 'mouth_x': at['mouth_x'], 'mouth_y': at['mouth_y'], 'smile': smile,
    }


def _xy(x, y) -> np.ndarray:
    return np.stack(np.broadcast_arrays(x, y), -1)


def _eye(m: dict) -> dict[str, np.ndarray]:
    """The lids of the eye on the viewer's right."""
    x = m['eye_x'] + m['eye_half'] * _U
    axis = m['eye_y'] + 0.6 - m['slant'] * _U
    upper = axis + m['lid'] * (1 - _W ** 2.3) ** 0.75 * (1 - 0.12 * _U)
    lower = axis + m['eye_down'] * (1 - _W ** 2.2) ** 0.8 * (1 + 0.15 * _U)
    lash = upper - m['lash'] * (1 + 0.6 * _U) * (1 - 0.4 * _U ** 2) + 0.1
    curves = {'lid': _xy(x, upper), 'under': _xy(x, lower), 'lash': _xy(x + m['reach'] * np.maximum(_U, 0) ** 6, lash),
              'lash_root': _xy(x, upper + 0.35), 'shade': _xy(x, upper + 1.7 * _ROUND),
              'rim_top': _xy(x, lower - 0.1), 'rim_low': _xy(x, lower + 0.7),
              'bag_top': _xy(x, lower + 1.3), 'bag_low': _xy(x, lower + 1.3 + 2.6 * _ROUND)}
    for name, edge in (('fold', upper), ('hood', axis + 0.2 * m['lid'])):  # the crease is the higher of the two
        for part, lift in (('', 0), ('_top', -0.45), ('_low', 0.45)):
            curves[name + part] = _xy(x, edge - m['gap'] * (1 - 0.75 * _U ** 2) + lift * _ROUND)
    curves['surround'] = _RING * np.stack([m['eye_half'] + 1.0, m['eye_up'] + 5.5]) + (m['eye_x'], m['eye_y'])
    return curves


def _irises(m: dict) -> dict[str, np.ndarray]:
    discs = {}
    for n, side in (('l_', -1), ('r_', 1)):
        x, y = side * (m['eye_x'] - 0.35) + m['gaze_x'], m['gaze_y']
        for name, r in (('iris', m['iris']), ('ring', 0.8 * m['iris']), ('pupil', 0.42 * m['iris'])):
            discs[n + name] = _RING * r + (x, y)
        discs[n + 'glint'] = _RING * 0.85 + (x + 1.3, y - 1.4)
    return discs


def _brow(m: dict) -> dict[str, np.ndarray]:
    x = m['eye_x'] - 11.3 + 24.5 * _V
    y = m['brow_y'] + m['raise'] * _V - m['arch'] * np.sin(np.pi * _V ** 1.25) + m['fall'] * (_V - 0.45)
    thick = m['thick'] * np.minimum(1, 0.55 + 2.5 * _V) * (1 - _V ** 2.2 * 0.85)
    return {'brow_top': _xy(x, y - thick), 'brow_low': _xy(x, y + thick), 'brow_arch': _xy(x, y - 0.4 * thick)}


def _mouth(m: dict) -> dict[str, np.ndarray]:
    x, base = m['mouth_half'] * _U, m['line'] + m['bend'] * _W ** 1.8
    inner_top = base - m['rise'] * _ROUND
    inner_low = base + m['drop'] * (1 - _W ** 2.3) * 0.9 + 0.1
    top = inner_top - m['upper'] * (1 - _W) ** 0.7 * (1 - 0.3 * np.exp(-(_U / 0.11) ** 2))
    bottom = base + m['drop'] * (1 - _W ** 2.6) + m['lower'] * _ROUND ** 0.75
    return {
        'top': _xy(x, top), 'inner_top': _xy(x, inner_top), 'inner_low': _xy(x, inner_low), 'bottom': _xy(x, bottom),
        'teeth_top': _xy(x * 0.9, inner_top), 'teeth': _xy(x * 0.9, inner_top + 4.4 * (1 - _W ** 4)),
        'gums': _xy(x * 0.9, inner_low), 'palate': _xy(x * 0.6, inner_top),
        'tongue': _xy(x * 0.6, inner_low - 3.0 * _ROUND), 'tongue_low': _xy(x * 0.6, inner_low),
        'parting_top': _xy(x * 1.05, inner_top - 0.35), 'parting_low': _xy(x * 1.05, inner_top + 0.45),
        'chin_top': _xy(x * 0.6, bottom + 0.8), 'chin_low': _xy(x * 0.6, bottom + 0.8 + 2.2 * _ROUND),
    }


def _nose(m: dict) -> dict[str, np.ndarray]:
    y, w = m['nose_y'], m['nose_x']
    return {
        'nose_side': np.array([(3.4, -3), (4.2, 6), (5.2, y - 8), (w * 0.88, y - 4), (w + 1.0, y - 0.5), (w + 0.6, y + 3),
                               (w * 0.72, y + 5), (3.2, y + 5.6), (0, y + 6.3)]),
        'wing': np.array([(w + 0.6, y - 3), (w + 1.7, y + 0.5), (w + 0.8, y + 3.8), (w + 0.1, y + 3.6), (w + 0.6, y + 0.5)]),
        'nostril': _RING * (1.9, 1.05) + (w * 0.46, y + 4.2), 'bridge': _xy(0, np.linspace(0.5, y, 4)),
        'base': np.array([(-w * 0.72, y + 4.6), (-w * 0.36, y + 5.4), (0, y + 6.0), (w * 0.36, y + 5.4), (w * 0.72, y + 4.6)]),
        'philtrum_top': _xy(w * 0.8 * _U, y + 5.2), 'philtrum_low': _xy(w * 0.75 * _U, y + 5.2 + 2.4 * _ROUND),
    }


def _skin(m: dict) -> dict[str, np.ndarray]:
    """The fold from nose to mouth, and the upper edge of a beard."""
    edge, nose, x, y = m['nose_x'] + 1.5, m['nose_y'], m['mouth_x'], m['mouth_y']
    return {'nose_fold': np.array([(edge + 1, nose - 1), (edge + 6, nose + 7), (x + 5 + m['smile'], y - 3 - m['smile']),
                                   (x + 5.5, y + 3), (x + 4, y + 3), (x + 3.6, y - 3), (edge + 4, nose + 8)]),
            'cheek': np.array([(0, nose + 8), (12, nose + 9), (21, y - 7), (28, 31), (35, 20)])}


def _curves(m: dict) -> dict[str, np.ndarray]:
    return _eye(m) | _irises(m) | _brow(m) | _mouth(m) | _nose(m) | _skin(m)


def _tabulate() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """(measures + 1, 2 * points) float32: what one unit of each measure adds to the points, and the points where all measures
    are 0; name of a curve -> indices of its points."""
    nothing = defaultdict(float)
    still = dict.fromkeys(_measures(nothing, nothing, nothing, 0.0), 0.0)
    curves = _curves(still)
    start = np.concatenate(list(curves.values()))
    effects = [np.concatenate(list(_curves(still | {name: 1.0}).values())) - start for name in still]
    ends = np.cumsum([len(curve) for curve in curves.values()])
    return (np.array([*effects, start], np.float32).reshape(len(still) + 1, -1),
            {name: np.arange(end - len(curve), end) for (name, curve), end in zip(curves.items(), ends)})


_TABLE, _AT = _tabulate()
_POINTS = _TABLE.shape[1] // 2
_FOLD, _HOOD = [slice(_AT[name][0], _AT[name + '_low'][-1] + 1) for name in ('fold', 'hood')]


def points(v: dict, a: dict, at: dict, drop: float) -> np.ndarray:
    """(N,2) float32: the points of all curves."""
    flat = np.array([*_measures(v, a, at, drop).values(), 1.0], np.float32) @ _TABLE
    y = flat[1::2]
    y[_FOLD] = np.minimum(y[_FOLD], y[_HOOD])
    y[_AT['teeth']] = np.minimum(y[_AT['teeth']], y[_AT['gums']])
    y[_AT['tongue']] = np.maximum(y[_AT['tongue']], y[_AT['palate']])
    return flat.reshape(-1, 2)


def _jaw_line() -> tuple[np.ndarray, np.ndarray]:
    """(28,3) directions from the head's center to the contour from temple to temple, the viewer's left first, and to what lies
    under the jaw; and what of them is to be added for each unit of the chin's height."""
    half = [(-44, -6, 2), (-43.5, 4, 0), (-42.5, 14, 0), (-40.5, 24, 1), (-37.5, 34, 3), (-32, 43, 7), (-24, 51, 13),
            (-13, 58, 19), (0, 60, 22)]
    jaw = np.array([*half, *[(-x, y, z) for x, y, z in half[-2::-1]]])
    edge = np.concatenate([jaw, jaw[3:14] * (1, 1.15, 0.6)])
    low = edge * (0, 1, 0) * (edge[:, 1:2] > 0)
    return (edge - low).astype(np.float32), (low / 60).astype(np.float32)


_JAW, _JAW_LOW = _jaw_line()


def jaw_line(at: dict, drop: float) -> np.ndarray:
    """(28,3) directions from the head's center to the 17 landmarks of the contour and the 11 points under it."""
    return _JAW + _JAW_LOW * np.float32(at['chin_y'] - 8 + drop)


# ---- polygons: indices into the points, followed by those of the jaw line; ~i is point i seen in the mirror ----------------

def _closed(upper, lower) -> np.ndarray:
    """The polygon between two curves that run from left to right."""
    return np.concatenate([upper, lower[::-1]])


def _polygons() -> dict[str, list[np.ndarray]]:
    """name -> polygons (of pairs the viewer's left one first) or, for what landmarks are made of, points."""
    c = _AT
    jaw, throat = np.split(_POINTS + np.arange(28), [17])
    right = {
        'eye': _closed(c['lid'], c['under'][1:-1]), 'surround': c['surround'], 'lash': _closed(c['lash'], c['lash_root']),
        'lid': _closed(c['fold'], c['lash']), 'crease': _closed(c['fold_top'], c['fold_low']),
        'shade': _closed(c['lid'], c['shade']), 'bag': _closed(c['bag_top'], c['bag_low']),
        'rim': _closed(c['rim_top'], c['rim_low']), 'brow': _closed(c['brow_top'], c['brow_low']),
        'nostril': c['nostril'], 'wing': c['wing'], 'fold': c['nose_fold'],
    }
    shapes = {name: [~shape, shape] for name, shape in right.items()}
    shapes |= {name: [c['l_' + name], c['r_' + name]] for name in ('iris', 'ring', 'pupil', 'glint')}
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
    return shapes | {name: [shape] for name, shape in single.items()}


def _lay_out(shapes: dict[str, list[np.ndarray]]) -> tuple[np.ndarray, dict[str, list[slice]]]:
    """All polygons one after the other, and where each lies."""
    index, where = np.zeros(0, int), {}
    for name, polygons in shapes.items():
        where[name] = []
        for polygon in polygons:
            where[name].append(slice(len(index), len(index) + len(polygon)))
            index = np.concatenate([index, polygon])
    return index, where


_INDEX, WHERE = _lay_out(_polygons())
_SIGN = np.stack([np.where(_INDEX < 0, -1, 1), np.ones_like(_INDEX), np.ones_like(_INDEX)], 1).astype(np.float32)
_INDEX = np.where(_INDEX < 0, ~_INDEX, _INDEX)
LANDMARKS = WHERE['landmarks'][0]


def shapes(lifted: np.ndarray, edge: np.ndarray) -> np.ndarray:
    """The points (N,3) and the jaw line (28,3) on the surface -> (M,3), where WHERE[name] are the polygons of that name."""
    return np.concatenate([lifted, edge]).take(_INDEX, 0) * _SIGN


def five(landmarks: np.ndarray) -> np.ndarray:
    """(68,2) -> (5,2): centers of the eyes, tip of the nose, corners of the mouth."""
    eyes = landmarks[36:48].reshape(2, 6, -1).sum(1) / 6
    return np.concatenate([eyes, landmarks[[30, 48, 54]]])
