"""The outlines of a face that looks straight ahead: polygons and the 68 landmarks in the plane of the face.

Positions are (x, y) in pixels of the template `face`, x from the face's axis to the viewer's right, y down from the eye line;
head.Head.lift puts them onto the surface.
"""
import numpy as np

_U = np.linspace(-1, 1, 13, dtype=np.float32)
_RING = np.stack([np.cos(np.linspace(0, 2 * np.pi, 20, endpoint=False)), np.sin(np.linspace(0, 2 * np.pi, 20, endpoint=False))], 1)


def _xy(x, y) -> np.ndarray:
    return np.stack(np.broadcast_arrays(x, y), -1).astype(np.float32)


def _closed(upper, lower) -> np.ndarray:
    """The polygon between two curves that run from left to right."""
    return np.concatenate([upper, lower[::-1]])


def _disc(x: float, y: float, r: float) -> np.ndarray:
    return _RING * r + (x, y)


def _eye(v: dict, a: dict, at: dict, side: int) -> dict[str, np.ndarray]:
    """side -1 is the viewer's left."""
    outer = _U * side  # 1 at the outer corner
    half = 9.0 * (1 + 0.13 * v['eye_size'])
    up = 4.1 * (1 + 0.13 * v['eye_size'] + 0.28 * v['eye_opening'])
    down = 2.5 * (1 + 0.13 * v['eye_size'] + 0.12 * v['eye_opening']) * (1 - 0.25 * max(a['smile'], 0))
    close = a['eye_close']
    lid = -up * (1 - close) + 0.85 * down * close + 0.5 * a['gaze_y'] * (1 - close)
    x = side * at['eye_x'] + half * _U
    axis = at['eye_y'] + 0.45 - (0.5 + 1.7 * v['eye_slant']) * outer
    upper = axis + lid * (1 - np.abs(_U) ** 2.3) ** 0.75 * (1 - 0.12 * outer)
    lower = axis + down * (1 - np.abs(_U) ** 2.2) ** 0.8 * (1 + 0.15 * outer)
    gap = 2.6 + 0.9 * v['lid_crease'] - 0.6 * v['eye_depth'] + 2.0 * close
    crease = np.minimum(upper, axis + 0.2 * lid) - gap * (1 - 0.75 * _U ** 2)
    gx, gy = side * at['eye_x'] + 3.2 * a['gaze_x'] - 0.35 * side, at['eye_y'] - 0.5 + 1.7 * a['gaze_y']
    iris = 3.75 * (1 + 0.06 * v['eye_size'])
    wing = 1.0 + 0.8 * max(v['makeup'], 0)
    lash = upper - (0.55 + 0.5 * max(v['makeup'], 0)) * (1 + 0.6 * outer) * (1 - 0.4 * _U ** 2) + 0.1
    reach = x + side * wing * np.maximum(outer, 0) ** 6
    n = {-1: 'l_', 1: 'r_'}[side]
    return {
        n + 'eye': _closed(_xy(x, upper), _xy(x, lower)[1:-1]),
        n + 'surround': _disc(side * at['eye_x'], at['eye_y'], 1.0) * (1, 1) + (_RING * (half + 1.0, up + 5.5)),
        n + 'iris': _disc(gx, gy, iris), n + 'ring': _disc(gx, gy, 0.8 * iris), n + 'pupil': _disc(gx, gy, 0.42 * iris),
        n + 'glint': _disc(gx + 1.3, gy - 1.4, 0.85),
        n + 'lash': _closed(_xy(reach, lash), _xy(x, upper + 0.35)),
        n + 'lid': _closed(_xy(x, crease), _xy(x, upper)),
        n + 'crease': _closed(_xy(x, crease - 0.45 * (1 - _U ** 2)), _xy(x, crease + 0.45 * (1 - _U ** 2))),
        n + 'shade': _closed(_xy(x, upper), _xy(x, upper + 1.5 * (1 - _U ** 2))),
        n + 'bag': _closed(_xy(x * 0.97, lower + 1.3), _xy(x * 0.97, lower + 1.3 + 2.6 * (1 - _U ** 2))),
        n + 'rim': _closed(_xy(x, lower - 0.1), _xy(x, lower + 0.7)),
        n + 'corners': _xy(x, upper)[[0, 4, 8, 12]], n + 'under': _xy(x, lower)[[8, 4]],
    }


def _brow(v: dict, a: dict, at: dict, side: int) -> dict[str, np.ndarray]:
    u = np.linspace(0, 1, 11, dtype=np.float32)  # inner to outer
    x = side * (at['eye_x'] - 11.3 + 24.5 * u)
    raise_ = 3.2 * a['brow_raise']
    y = at['brow_y'] + at['eye_y'] + 2.4 - raise_ * (1 - 0.25 * u) - (3.4 + 2.0 * v['brow_arch']) * np.sin(np.pi * u ** 1.25) * 0.9
    y = y + (1.6 - 1.6 * v['brow_slant']) * (u - 0.45)
    thick = (2.1 + 0.9 * v['brow_thickness']) * np.minimum(1, 0.55 + 2.5 * u) * (1 - u ** 2.2 * 0.85)
    n = {-1: 'l_', 1: 'r_'}[side]
    return {n + 'brow': _closed(_xy(x, y - thick), _xy(x, y + thick)), n + 'arch': _xy(x, y - 0.4 * thick)[[0, 2, 5, 8, 10]]}


def _mouth(v: dict, a: dict, at: dict, drop: float) -> dict[str, np.ndarray]:
    smile, opened = a['smile'], a['mouth_open']
    half = at['mouth_x'] * (1 + 0.11 * smile - 0.10 * opened)
    corner = at['mouth_y'] - 2.6 * smile + 1.2 * opened
    line = at['mouth_y'] + 0.3 + 0.5 * smile
    w = np.abs(_U)
    base = line + (corner - line) * w ** 1.8
    rise = (0.8 + 1.2 * max(smile, 0)) * opened
    upper = 3.7 * (1 + 0.42 * v['lip_upper']) * (1 - 0.15 * abs(smile))
    lower = 4.9 * (1 + 0.38 * v['lip_lower']) * (1 - 0.12 * abs(smile))
    top = base - rise * (1 - w ** 2) - upper * (1 - w) ** 0.7 * (1 - 0.3 * np.exp(-(_U / 0.11) ** 2))
    inner_top = base - rise * (1 - w ** 2)
    inner_low = base + drop * (1 - w ** 2.3) * 0.9 + 0.1
    bottom = base + drop * (1 - w ** 2.6) + lower * (1 - w ** 2) ** 0.75
    x = half * _U
    teeth = np.minimum(inner_top + 4.4 * (1 - w ** 4), inner_low)
    tongue = np.maximum(inner_low - 3.0 * (1 - w ** 2), inner_top)
    return {
        'u_lip': _closed(_xy(x, top), _xy(x, inner_top)[1:-1]), 'l_lip': _closed(_xy(x, inner_low), _xy(x, bottom)[1:-1]),
        'mouth': _closed(_xy(x, inner_top), _xy(x, inner_low)),
        'teeth': _closed(_xy(x * 0.9, inner_top), _xy(x * 0.9, teeth)), 'tongue': _closed(_xy(x * 0.6, tongue), _xy(x * 0.6, inner_low)),
        'parting': _closed(_xy(x * 1.05, inner_top - 0.35), _xy(x * 1.05, inner_top + 0.45)),
        'outer_lip': np.concatenate([_xy(x, top)[[0, 2, 5, 6, 7, 10, 12]], _xy(x, bottom)[[10, 8, 6, 4, 2]]]),
        'inner_lip': np.concatenate([_xy(x * 0.9, inner_top)[[0, 4, 6, 8, 12]], _xy(x, inner_low)[[8, 6, 4]]]),
        'under_lip': _closed(_xy(x * 0.6, bottom + 0.8), _xy(x * 0.6, bottom + 0.8 + 2.2 * (1 - w ** 2))),
    }


def _nose(at: dict) -> dict[str, np.ndarray]:
    y, w = at['nose_y'], at['nose_x']
    right = [(3.4, -3), (4.2, 6), (5.2, y - 8), (w * 0.88, y - 4), (w + 1.0, y - 0.5), (w + 0.6, y + 3), (w * 0.72, y + 5), (3.2, y + 5.6)]
    holes = {n + 'nostril': _disc(0, 0, 1) * (1.9, 1.05) + (s * w * 0.46, y + 4.2) for n, s in (('l_', -1), ('r_', 1))}
    wings = {n + 'wing': np.array([(s * (w + 0.6), y - 3), (s * (w + 1.7), y + 0.5), (s * (w + 0.8), y + 3.8), (s * (w + 0.1), y + 3.6),
                                   (s * (w + 0.6), y + 0.5)]) for n, s in (('l_', -1), ('r_', 1))}
    return holes | wings | {
        'nose': np.array([*[(-p, q) for p, q in right], (0, y + 6.3), *right[::-1]]),
        'bridge': np.array([(0, 0.5), (0, 0.5 + (y - 0.5) / 3), (0, 0.5 + (y - 0.5) / 1.5), (0, y)]),
        'base': np.array([(-w * 0.72, y + 4.6), (-w * 0.36, y + 5.4), (0, y + 6.0), (w * 0.36, y + 5.4), (w * 0.72, y + 4.6)]),
        'under_nose': _closed(_xy(_U * w * 0.8, y + 5.2), _xy(_U * w * 0.75, y + 5.2 + 2.4 * (1 - _U ** 2))),
    }


def outlines(v: dict, a: dict, at: dict, drop: float) -> dict[str, np.ndarray]:
    """name -> (N,2) polygon or, for what landmarks are made of, points."""
    shapes = _mouth(v, a, at, drop) | _nose(at)
    for side in (-1, 1):
        shapes |= _eye(v, a, at, side) | _brow(v, a, at, side)
    fold, smile = at['nose_x'] + 1.5, a['smile']
    for n, s in (('l_', -1), ('r_', 1)):
        path = [(fold + 1, at['nose_y'] - 1), (fold + 6, at['nose_y'] + 7), (at['mouth_x'] + 5 + smile, at['mouth_y'] - 3 - smile),
                (at['mouth_x'] + 5.5, at['mouth_y'] + 3), (at['mouth_x'] + 4, at['mouth_y'] + 3), (at['mouth_x'] + 3.6, at['mouth_y'] - 3),
                (fold + 4, at['nose_y'] + 8)]
        shapes[n + 'fold'] = np.array([(s * x, y) for x, y in path])
    cheek = [(-39, 12), (-36, 24), (-27, 31), (-20, at['mouth_y'] - 8), (-11, at['nose_y'] + 10), (0, at['nose_y'] + 9)]
    chin = [(26, 64 + drop), (38, 46 + drop)]
    shapes['beard'] = np.array([*cheek, *[(-x, y) for x, y in cheek[-2::-1]], *chin[::-1], (0, 74 + drop), *[(-x, y) for x, y in chin]])
    return {name: np.asarray(p, np.float32) for name, p in shapes.items()}


# What of the lifted shapes the landmarks after the 17 of the jaw are, in the order of iBUG: outer to inner from the left.
LANDMARK_SOURCES = (('l_arch', slice(None, None, -1)), ('r_arch', slice(None)), ('bridge', slice(None)), ('base', slice(None)),
                    ('l_corners', slice(None)), ('l_under', slice(None)), ('r_corners', slice(None)), ('r_under', slice(None)),
                    ('outer_lip', slice(None)), ('inner_lip', slice(None)))


def jaw_line(at: dict, drop: float) -> np.ndarray:
    """(17,3) directions from the head's centre to the contour from temple to temple, the viewer's left first."""
    bottom = at['chin_y'] - 8 + drop
    half = [(-44, -6, 2), (-43.5, 4, 2), (-42.5, 14, 3), (-40.5, 24, 5), (-37.5, 34, 9), (-32, 43, 15), (-24, 51, 24), (-13, 58, 33), (0, 60, 38)]
    half = [(x, y * bottom / 60 if y > 0 else y, z) for x, y, z in half]
    return np.array([*half, *[(-x, y, z) for x, y, z in half[-2::-1]]], np.float32)


def five(landmarks: np.ndarray) -> np.ndarray:
    """(68,2) -> (5,2): centres of the eyes, tip of the nose, corners of the mouth."""
    return np.stack([landmarks[36:42].mean(0), landmarks[42:48].mean(0), landmarks[30], landmarks[48], landmarks[54]])
