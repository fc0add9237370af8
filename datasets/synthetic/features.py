"""The outlines of a face that looks straight ahead: polygons and the 68 landmarks in the plane of the face.

Positions are (x, y) in pixels of the template `face`, x from the face's axis to the viewer's right, y down from the eye line;
head.Head.lift puts them onto the surface.
"""
import numpy as np

_MIRROR = np.array([-1, 1], np.float32)
_U = np.linspace(-1, 1, 13, dtype=np.float32)
_V = np.linspace(0, 1, 11, dtype=np.float32)  # along a brow, inner to outer
_TURN = np.linspace(0, 2 * np.pi, 20, endpoint=False)
_RING = np.stack([np.cos(_TURN), np.sin(_TURN)], 1)


def _xy(x, y) -> np.ndarray:
    points = np.empty((len(x), 2), np.float32)
    points[:, 0], points[:, 1] = x, y
    return points


def _closed(upper, lower) -> np.ndarray:
    """The polygon between two curves that run from left to right."""
    return np.concatenate([upper, lower[::-1]])


def _pair(name: str, right: np.ndarray) -> dict[str, np.ndarray]:
    """A shape on the viewer's right and its mirror image."""
    return {'r_' + name: right, 'l_' + name: right * _MIRROR}


def _disc(x: float, y: float, r: float) -> np.ndarray:
    return _RING * r + (x, y)


def _eyes(v: dict, a: dict, at: dict) -> dict[str, np.ndarray]:
    half = 9.3 * (1 + 0.13 * v['eye_size'])
    up = 4.5 * (1 + 0.13 * v['eye_size'] + 0.28 * v['eye_opening'])
    down = 2.7 * (1 + 0.13 * v['eye_size'] + 0.12 * v['eye_opening']) * (1 - 0.25 * max(a['smile'], 0))
    close = a['eye_close']
    lid = -up * (1 - close) + 0.85 * down * close + 0.5 * a['gaze_y'] * (1 - close)
    x, round_ = at['eye_x'] + half * _U, 1 - _U ** 2  # _U is 1 at the outer corner of the right eye
    axis = at['eye_y'] + 0.6 - (0.5 + 1.7 * v['eye_slant']) * _U
    upper = axis + lid * (1 - np.abs(_U) ** 2.3) ** 0.75 * (1 - 0.12 * _U)
    lower = axis + down * (1 - np.abs(_U) ** 2.2) ** 0.8 * (1 + 0.15 * _U)
    gap = 2.6 + 0.9 * v['lid_crease'] - 0.6 * v['eye_depth'] + 2.0 * close
    crease = np.minimum(upper, axis + 0.2 * lid) - gap * (1 - 0.75 * _U ** 2)
    paint = max(v['makeup'], 0)
    lash = upper - (0.6 + 0.55 * paint) * (1 + 0.6 * _U) * (1 - 0.4 * _U ** 2) + 0.1
    reach = x + (1.0 + 0.8 * paint) * np.maximum(_U, 0) ** 6
    edge = _xy(x, upper)
    shapes = {}
    for name, shape in {
        'eye': _closed(edge, _xy(x, lower)[1:-1]), 'surround': _RING * (half + 1.0, up + 5.5) + (at['eye_x'], at['eye_y']),
        'lash': _closed(_xy(reach, lash), _xy(x, upper + 0.35)), 'lid': _closed(_xy(x, crease), edge),
        'crease': _closed(_xy(x, crease - 0.45 * round_), _xy(x, crease + 0.45 * round_)),
        'shade': _closed(edge, _xy(x, upper + 1.7 * round_)),
        'bag': _closed(_xy(x, lower + 1.3), _xy(x, lower + 1.3 + 2.6 * round_)),
        'rim': _closed(_xy(x, lower - 0.1), _xy(x, lower + 0.7)),
        'corners': edge[[0, 4, 8, 12]], 'under': _xy(x, lower)[[8, 4]],
    }.items():
        shapes |= _pair(name, shape)
    for name in ('l_corners', 'l_under'):  # landmarks run from left to right above, from right to left below
        shapes[name] = shapes[name][::-1]
    iris = 3.9 * (1 + 0.06 * v['eye_size'])
    for n, side in (('l_', -1), ('r_', 1)):
        gx, gy = side * (at['eye_x'] - 0.35) + 3.2 * a['gaze_x'], at['eye_y'] - 0.4 + 1.7 * a['gaze_y']
        shapes |= {n + 'iris': _disc(gx, gy, iris), n + 'ring': _disc(gx, gy, 0.8 * iris),
                   n + 'pupil': _disc(gx, gy, 0.42 * iris), n + 'glint': _disc(gx + 1.3, gy - 1.4, 0.85)}
    return shapes


def _brows(v: dict, a: dict, at: dict) -> dict[str, np.ndarray]:
    u = _V
    x = at['eye_x'] - 11.3 + 24.5 * u
    y = at['brow_y'] + at['eye_y'] + 2.4 - 3.2 * a['brow_raise'] * (1 - 0.25 * u)
    y = y - (3.1 + 1.8 * v['brow_arch']) * np.sin(np.pi * u ** 1.25) + (1.6 - 1.6 * v['brow_slant']) * (u - 0.45)
    thick = (1.9 + 0.85 * v['brow_thickness']) * np.minimum(1, 0.55 + 2.5 * u) * (1 - u ** 2.2 * 0.85)
    shapes = _pair('brow', _closed(_xy(x, y - thick), _xy(x, y + thick)))
    shapes |= _pair('arch', _xy(x, y - 0.4 * thick)[[0, 2, 5, 8, 10]])
    shapes['l_arch'] = shapes['l_arch'][::-1]
    return shapes


def _mouth(v: dict, a: dict, at: dict, drop: float) -> dict[str, np.ndarray]:
    smile, opened = a['smile'], a['mouth_open']
    half = at['mouth_x'] * (1 + 0.11 * smile - 0.10 * opened)
    corner = at['mouth_y'] - 0.2 - 2.6 * smile + 1.2 * opened
    line = at['mouth_y'] + 0.3 + 0.5 * smile
    w = np.abs(_U)
    base = line + (corner - line) * w ** 1.8
    rise = (0.8 + 1.2 * max(smile, 0)) * opened
    upper = 4.0 * (1 + 0.42 * v['lip_upper']) * (1 - 0.15 * abs(smile))
    lower = 5.2 * (1 + 0.38 * v['lip_lower']) * (1 - 0.12 * abs(smile))
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
        'teeth': _closed(_xy(x * 0.9, inner_top), _xy(x * 0.9, teeth)),
        'tongue': _closed(_xy(x * 0.6, tongue), _xy(x * 0.6, inner_low)),
        'parting': _closed(_xy(x * 1.05, inner_top - 0.35), _xy(x * 1.05, inner_top + 0.45)),
        'outer_lip': np.concatenate([_xy(x, top)[[0, 2, 5, 6, 7, 10, 12]], _xy(x, bottom)[[10, 8, 6, 4, 2]]]),
        'inner_lip': np.concatenate([_xy(x * 0.9, inner_top)[[0, 4, 6, 8, 12]], _xy(x, inner_low)[[8, 6, 4]]]),
        'under_lip': _closed(_xy(x * 0.6, bottom + 0.8), _xy(x * 0.6, bottom + 0.8 + 2.2 * (1 - w ** 2))),
    }


def _nose(at: dict) -> dict[str, np.ndarray]:
    y, w = at['nose_y'], at['nose_x']
    right = np.array([(3.4, -3), (4.2, 6), (5.2, y - 8), (w * 0.88, y - 4), (w + 1.0, y - 0.5), (w + 0.6, y + 3),
                      (w * 0.72, y + 5), (3.2, y + 5.6)], np.float32)
    wing = np.array([(w + 0.6, y - 3), (w + 1.7, y + 0.5), (w + 0.8, y + 3.8), (w + 0.1, y + 3.6), (w + 0.6, y + 0.5)],
                    np.float32)
    return _pair('nostril', _RING * (1.9, 1.05) + (w * 0.46, y + 4.2)) | _pair('wing', wing) | {
        'nose': np.concatenate([right * (-1, 1), [(0, y + 6.3)], right[::-1]]),
        'bridge': _xy(np.zeros(4), np.linspace(0.5, y, 4)),
        'base': np.array([(-w * 0.72, y + 4.6), (-w * 0.36, y + 5.4), (0, y + 6.0), (w * 0.36, y + 5.4), (w * 0.72, y + 4.6)]),
        'under_nose': _closed(_xy(_U * w * 0.8, y + 5.2 + 0 * _U), _xy(_U * w * 0.75, y + 5.2 + 2.4 * (1 - _U ** 2))),
    }


def _skin_marks(a: dict, at: dict, drop: float) -> dict[str, np.ndarray]:
    """The folds from nose to mouth, and the upper edge of a beard."""
    edge, nose, x, y = at['nose_x'] + 1.5, at['nose_y'], at['mouth_x'], at['mouth_y']
    fold = np.array([(edge + 1, nose - 1), (edge + 6, nose + 7), (x + 5 + a['smile'], y - 3 - a['smile']), (x + 5.5, y + 3),
                     (x + 4, y + 3), (x + 3.6, y - 3), (edge + 4, nose + 8)], np.float32)
    cheek = np.array([(0, nose + 8), (12, nose + 9), (21, y - 7), (28, 31), (35, 20)], np.float32)
    return _pair('fold', fold) | {'beard': np.concatenate([(cheek * _MIRROR)[:0:-1], cheek])}


def outlines(v: dict, a: dict, at: dict, drop: float) -> dict[str, np.ndarray]:
    """name -> (N,2) polygon or, for what landmarks are made of, points."""
    return _mouth(v, a, at, drop) | _nose(at) | _eyes(v, a, at) | _brows(v, a, at) | _skin_marks(a, at, drop)


# The shapes whose points are the landmarks after the 17 of the jaw, in the order of iBUG.
LANDMARK_SOURCES = ('l_arch', 'r_arch', 'bridge', 'base', 'l_corners', 'l_under', 'r_corners', 'r_under', 'outer_lip',
                    'inner_lip')


def jaw_line(at: dict, drop: float) -> np.ndarray:
    """(17,3) directions from the head's centre to the contour from temple to temple, the viewer's left first."""
    bottom = at['chin_y'] - 8 + drop
    half = [(-44, -6, 2), (-43.5, 4, 0), (-42.5, 14, 0), (-40.5, 24, 1), (-37.5, 34, 3), (-32, 43, 7), (-24, 51, 13),
            (-13, 58, 19), (0, 60, 22)]
    half = [(x, y * bottom / 60 if y > 0 else y, z) for x, y, z in half]
    return np.array([*half, *[(-x, y, z) for x, y, z in half[-2::-1]]], np.float32)


def five(landmarks: np.ndarray) -> np.ndarray:
    """(68,2) -> (5,2): centres of the eyes, tip of the nose, corners of the mouth."""
    eyes = landmarks[36:48].reshape(2, 6, -1).mean(1)
    return np.concatenate([eyes, landmarks[[30, 48, 54]]])
