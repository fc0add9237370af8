"""From causes to a picture: the head is turned, its outlines are filled, its surface is lit, the picture is reduced.

Everything is painted at twice the wanted side with antialiased edges and averaged down; the label map is painted with the same
polygons in the same order, without antialiasing.
"""
import math
from dataclasses import dataclass

import cv2
import numpy as np

from models.batch import PARTS
from models.geometry import template

from . import palette
from .canvas import UNITS, Canvas, over
from .causes import ATTRIBUTES, IDENTITY, exaggerate, named
from .features import LANDMARK_SOURCES, five, jaw_line, outlines
from .hair import Hair
from .head import EYE_LINE, Head, rotation

SIZES = (32, 256)
DOMAINS = ('photo', 'drawing')
_GRID = 80  # side of the grid on which light is computed
_CENTRE = np.array(template('face').points, np.float32)[:2].mean(0) - (0, EYE_LINE)  # where a head's centre is seen, in units
_INK = (38, 32, 40)


@dataclass(frozen=True)
class Rendering:
    """picture uint8 (size,size,3) RGB; parsing uint8 (size,size), ids of models.batch.PARTS; landmarks float32 (68,2) in the
    order of iBUG and points float32 (5,2), both in pixels, centre of the first pixel at 0."""

    picture: np.ndarray
    parsing: np.ndarray
    landmarks: np.ndarray
    points: np.ndarray


def _lift(head: Head, shapes: dict) -> dict[str, np.ndarray]:
    points = head.lift(np.concatenate(list(shapes.values())))
    lifted = dict(zip(shapes, np.split(points, np.cumsum([len(p) for p in shapes.values()])[:-1])))
    jaw = head.along(jaw_line(head.at, head.drop))
    lifted['landmarks'] = np.concatenate([jaw, *[lifted[name][part] for name, part in LANDMARK_SOURCES]])
    return lifted


def _mean_five() -> np.ndarray:
    v, a = dict.fromkeys(IDENTITY, 0.0), dict.fromkeys(ATTRIBUTES, 0.0)
    head = Head(v, a)
    return five(_lift(head, outlines(v, a, head.at, head.drop))['landmarks'])


_MEAN_FIVE = _mean_five()  # (5,3) in the head's frame: the framing follows them, whoever is drawn


class Portrait:
    """One face in one setting, ready to be painted at any size."""

    def __init__(self, v: dict, a: dict, drawing: bool):
        self.v, self.a, self.drawing = v, a, drawing
        self.turn = rotation(a['yaw'], a['pitch'], a['roll'])
        self.centre = _CENTRE + (_MEAN_FIVE - _MEAN_FIVE @ self.turn.T).mean(0)[:2]
        self.head = Head(v, a)
        lifted = _lift(self.head, outlines(v, a, self.head.at, self.head.drop))
        self.seen = {name: self.see(p) for name, p in lifted.items()}
        self.hair = Hair(v)
        self.skin = palette.skin(v)
        az, el = math.radians(a['light_azimuth']), math.radians(a['light_elevation'])
        self.light = np.array([math.sin(az) * math.cos(el), -math.sin(el), math.cos(az) * math.cos(el)], np.float32)

    def see(self, points) -> np.ndarray:
        """(N,3) in the head's frame -> (N,2) units of the picture."""
        return np.asarray(points, np.float32) @ self.turn.T[:, :2] + self.centre

    # ---- light -------------------------------------------------------------------------------------------------------

    def _surface(self):
        """Depth and surface coordinates of what is seen, on the grid of light."""
        axis = (np.arange(_GRID, dtype=np.float32) + 0.5) * np.float32(UNITS / _GRID) - 0.5
        x, y = np.meshgrid(axis - np.float32(self.centre[0]), axis - np.float32(self.centre[1]))
        return self.head.cast(x, y, self.turn)

    def _lit(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(G,G,3) factors on the surface's colour and (G,G) gloss, float32."""
        a, step = self.a, 8 * UNITS / _GRID
        z = cv2.GaussianBlur(z, (0, 0), 0.8)
        nx, ny = cv2.Sobel(z, -1, 1, 0, scale=-1 / step), cv2.Sobel(z, -1, 0, 1, scale=-1 / step)
        nz = 1 / np.sqrt(nx * nx + ny * ny + 1)
        facing = (nx * self.light[0] + ny * self.light[1] + self.light[2]) * nz
        half = self.light + np.array([0, 0, 1], np.float32)
        half = half / np.linalg.norm(half)
        shine = np.maximum((nx * half[0] + ny * half[1] + half[2]) * nz, 0)
        shine *= shine
        shine *= shine
        gloss = shine ** 4 * np.float32(26 * (0.4 + a['light_strength']))
        hollow = np.clip(cv2.GaussianBlur(z, (0, 0), 3.0) - z, -2.0, 3.5)
        direct, tint = 0.30 + 0.75 * a['light_strength'], self._tint()
        ambient = 1.08 - 0.80 * direct - 0.055 * hollow
        wraps = (0.42, 0.26, 0.22)  # light creeps further under skin in red
        lit = np.stack([ambient + np.maximum(facing + w, 0) * np.float32(direct * c / (1 + w)) for w, c in zip(wraps, tint)], -1)
        return lit * np.float32(2 ** (0.40 * a['exposure'])), gloss

    def _tint(self) -> tuple[float, float, float]:
        w = self.a['light_warmth']
        return 1 + 0.10 * w, 1.0, 1 - 0.14 * w

    # ---- layers ------------------------------------------------------------------------------------------------------

    def _behind(self, canvas: Canvas) -> None:
        """Neck, clothes and what of the hair hangs or stands behind the head."""
        v, a, see = self.v, self.a, self.see
        level = 2 ** (0.40 * a['exposure'])
        dim = np.clip(self.skin * level * (0.80, 0.74, 0.72), 0, 255)
        if self.hair.grows:
            for polygon in self.hair.behind(see):
                canvas.paint(polygon, self.hair.colour * 0.55 * level, 'hair')
        neck = 25 - 3.0 * max(-v['jaw_width'], 0) + 2.5 * v['jaw_width']
        top, base = see([(0, 34, -14)])[0], self.centre + (0, 96)
        sides = [(top[0] - neck, top[1] - 18), (top[0] - neck, top[1] + 16), (base[0] - neck - 4, base[1] - 26), (base[0] - 44, base[1]),
                 (base[0] + 44, base[1]), (base[0] + neck + 4, base[1] - 26), (top[0] + neck, top[1] + 16), (top[0] + neck, top[1] - 18)]
        canvas.paint(np.array(sides), dim, 'neck')
        side = np.sign(a['light_azimuth']) or 1
        canvas.blend([np.array([(base[0] - side * 60, 60), (base[0] - side * 12, 60), (base[0] - side * 8, 140), (base[0] - side * 60, 140)])],
                     dim * 0.6, 0.5 * a['light_strength'], 5)
        cloth = palette.hsv(a['cloth_hue'], a['cloth_saturation'], 0.12 + 0.8 * a['cloth_value']) * level
        y, rise, dip = base[1] - 31 - 5 * a['collar'], 7 + 5 * a['collar'], 12 - 10 * a['collar']
        collar = np.array([(-70, y + 14), (base[0] - neck - 14, y + rise * 0.3), (base[0] - neck - 3, y - rise * 0.6), (base[0] - neck + 5, y + 4),
                           (base[0], y + 6 + dip), (base[0] + neck - 5, y + 4), (base[0] + neck + 3, y - rise * 0.6),
                           (base[0] + neck + 14, y + rise * 0.3), (200, y + 14), (200, 200), (-70, 200)], np.float32)
        canvas.paint(collar, np.clip(cloth, 0, 255), 'cloth')
        canvas.lines([collar[2:7]], np.clip(cloth * 0.7, 0, 255), 1.0)

    def _ears(self, canvas: Canvas) -> None:
        size = 1 + 0.16 * self.v['ear_size']
        t = np.linspace(0, 2 * np.pi, 16, endpoint=False)
        level = 2 ** (0.40 * self.a['exposure'])
        for n, s in (('l_', -1), ('r_', 1)):
            lit = level * (0.84 + 0.22 * s * self.light[0] * self.a['light_strength'])
            x = s * (43.5 + 2.6 * np.cos(t) ** 2 - 1.5 * np.sin(t))
            shape = np.stack([x, 1 + 14.5 * size * np.sin(t) + 0 * t, -6 - 8 * size * np.cos(t) * (1 - 0.25 * np.sin(t))], 1)
            inner = shape * (1.012, 0.66, 0.55) + (0, 0.0, -2.4)
            red = np.array([1.02, 0.92, 0.90], np.float32)
            canvas.paint(self.see(shape), np.clip(self.skin * lit * red, 0, 255), n + 'ear')
            canvas.blend([self.see(inner)], self.skin * lit * (0.72, 0.58, 0.54), 0.8, 0.9)

    def _silhouette(self) -> list[np.ndarray]:
        """Two overlapping outlines, skull and jaw, so that the hollow at the temples stays."""
        points = self.head.vertices
        seen = np.ascontiguousarray(self.see(points), np.float32)
        return [cv2.convexHull(seen[part])[:, 0] for part in (points[:, 1] < 2, points[:, 1] > -12)]

    def _features(self, canvas: Canvas) -> None:
        """Everything on the skin, in flat colours: light comes after."""
        v, s, skin = self.v, self.seen, self.skin
        dark = skin * (0.62, 0.50, 0.47)
        both = lambda name: [s['l_' + name], s['r_' + name]]  # noqa: E731
        hair, paint, blend = self.hair.colour, canvas.paint, canvas.blend
        blend(both('bag'), dark, 0.16 + 0.18 * max(v['age'], 0), 1.0)
        if v['beard'] > 0:
            blend([s['beard']], hair * 0.8 + skin * 0.12, 0.25 + 0.65 * min(1.6 * v['beard'], 1), 1.8)
        blend(both('fold'), dark, 0.18 + 0.16 * max(v['age'], 0) + 0.2 * max(self.a['smile'], 0), 1.5)
        canvas.label(s['nose'], 'nose')
        blend([*both('wing'), s['under_nose']], dark, 0.45, 0.9)
        blend(both('nostril'), dark * 0.35, 0.85, 0.5)
        self._eyes(canvas, both, dark)
        brow = hair * 0.72 + skin * 0.14 if v['hair_grey'] < 0.3 else hair * 0.7
        blend(both('brow'), brow, 0.86, 0.45)
        for n in ('l_', 'r_'):
            canvas.label(s[n + 'brow'], n + 'brow')
        lips = palette.lips(v)
        blend([s['under_lip']], dark, 0.35, 1.0)
        paint(s['mouth'], (52, 16, 18), 'mouth')
        if self.a['mouth_open'] > 0.04:
            paint(s['tongue'], (150, 70, 74))
            paint(s['teeth'], (236, 230, 220))
            blend([s['parting']], (60, 20, 20), 0.4, 0.8)
        paint(s['u_lip'], lips * 0.90, 'u_lip')
        paint(s['l_lip'], lips, 'l_lip')
        if self.a['mouth_open'] <= 0.04:
            blend([s['parting']], lips * 0.35, 0.85, 0.3)
        if self.drawing:
            canvas.lines([s['base'], *both('wing')], _INK, 0.7)
            canvas.lines([s['u_lip'], s['l_lip']], _INK, 0.6, closed=True)
            canvas.lines(both('crease'), _INK, 0.5, closed=True)

    def _eyes(self, canvas: Canvas, both, dark) -> None:
        v, s, skin = self.v, self.seen, self.skin
        iris, make = palette.iris(v), max(v['makeup'], 0)
        for n in ('l_', 'r_'):
            canvas.paint(s[n + 'eye'], (236, 230, 226), n + 'eye')
        if self.a['eye_close'] < 0.8:
            for n in ('l_', 'r_'):
                canvas.paint(s[n + 'iris'], iris * 0.5)
                canvas.paint(s[n + 'ring'], iris)
                canvas.paint(s[n + 'pupil'], (14, 10, 10))
            canvas.blend(both('shade'), (60, 44, 44), 0.45, 0.5)
            for n in ('l_', 'r_'):
                canvas.paint(s[n + 'glint'], (250, 250, 250))
        for n in ('l_', 'r_'):
            canvas.around(s[n + 'surround'], s[n + 'eye'], skin)
        canvas.blend(both('lid'), dark * (1 - 0.25 * make) + np.array([30, 0, 24]) * make, 0.22 + 0.4 * make, 0.7)
        canvas.blend(both('crease'), dark * 0.8, 0.6, 0.35)
        canvas.blend(both('rim'), skin * (0.95, 0.70, 0.68), 0.6, 0.3)
        canvas.blend(both('lash'), (26, 18, 18), 0.92, 0.18)

    def _glasses(self, canvas: Canvas) -> None:
        a, at = self.a, self.head.at
        kind = a['glasses']
        t = np.linspace(0, 2 * np.pi, 28, endpoint=False)
        power = 2 / (2.2 + 2.4 * ((kind * 7) % 1))
        c, d = np.sign(np.cos(t)) * np.abs(np.cos(t)) ** power, np.sign(np.sin(t)) * np.abs(np.sin(t)) ** power
        frame = palette.hsv(kind * 3.7, 0.5 * ((kind * 5) % 1), 0.14 + 0.5 * ((kind * 11) % 1) ** 2)
        wide, high, front = 14.6, 9.0 + 2.5 * ((kind * 3) % 1), 52.0
        lens = [np.stack([s * at['eye_x'] * 1.03 + wide * c, at['eye_y'] + EYE_LINE + 1.5 + high * d, front - 3.5 * (s * c > 0.3) + 0 * t], 1)
                for s in (-1, 1)]
        seen = [self.see(p) for p in lens]
        outer = [self.see(lens[i] + ((p - p.mean(0)) * 0.08)) for i, p in enumerate(lens)]
        canvas.blend(seen, (225, 235, 245), 0.10)
        canvas.lines(seen, frame, 1.1 + 0.9 * ((kind * 13) % 1), closed=True)
        inner = at['eye_x'] * 1.03 - wide
        y = at['eye_y'] + EYE_LINE
        bridge = self.see([(-inner, y, front), (-inner * 0.5, y - 1.5, front + 3), (inner * 0.5, y - 1.5, front + 3), (inner, y, front)])
        canvas.lines([bridge], frame, 1.6)
        for s in (-1, 1):
            canvas.lines([self.see([(s * (at['eye_x'] * 1.03 + wide), y - 1, front - 5), (s * 44.5, y - 1, 4)])], frame, 1.4)
        for polygon in outer:
            canvas.label(polygon, 'eye_g')

    # ---- the picture -------------------------------------------------------------------------------------------------

    def render(self, size: int) -> Rendering:
        side, v, a = 2 * size, self.v, self.a
        scale = side / UNITS
        canvas = Canvas(palette.backdrop(a, side))
        self._behind(canvas)
        self._ears(canvas)
        outline = self._silhouette()
        head = canvas.mask(*outline)
        canvas.label_where(head, 'skin')
        z, s, t = self._surface()
        lit, gloss = self._lit(z)
        large = lambda grid: cv2.resize(grid, (side, side), interpolation=cv2.INTER_LINEAR)  # noqa: E731
        s, t = large(s), large(t)
        face = Canvas(np.empty((side, side, 3), np.uint8))
        face.labels = canvas.labels
        face.picture[:] = np.rint(self.skin)
        self._features(face)
        cap = self.hair.cap(s, t, scale) if self.hair.grows else np.zeros((side, side), np.float32)
        skin = face.picture.astype(np.float32)
        skin = self._drawn(skin, large(lit)) if self.drawing else self._real(skin, large(lit), large(gloss), s, t, cap, scale)
        below = canvas.picture.astype(np.float32)
        head = head * np.float32(1 / 255)
        picture = over(below, skin, head)
        if self.hair.grows:
            crown = canvas.mask(*self.hair.hull(self.head, self.see)) * np.float32(1 / 255)
            strands = self.hair.strands(side, self, lit)
            picture = over(picture, strands, crown * (1 - head))
            weight = cap * np.maximum(head, crown)
            picture = over(picture, strands, weight)
            canvas.labels[(weight > 0.5) | (crown * (1 - head) > 0.5)] = 13
        canvas.picture = np.clip(picture, 0, 255, out=picture).astype(np.uint8)
        if a['glasses'] > 0:
            self._glasses(canvas)
        if self.drawing:
            self._ink(canvas)
        picture = canvas.picture
        if a['blur'] > 0 and not self.drawing:
            picture = cv2.GaussianBlur(picture, (0, 0), 0.02 + 0.015 * a['blur'] * side)
        picture = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
        landmarks = ((self.seen['landmarks'] + 0.5) * (size / UNITS) - 0.5).astype(np.float32)
        return Rendering(picture, np.ascontiguousarray(canvas.labels[1::2, 1::2]), landmarks, five(landmarks))

    def _real(self, skin, lit, gloss, s, t, cap, scale):
        """Texture, light and gloss on the painted skin; the hair throws a soft shadow."""
        v = self.v
        grain = cv2.remap(palette.noise(), s * 110 + 128, t * 110 + 128, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        freckles = max(v['freckles'] - 0.3, 0) * 0.28
        factor = 1 + (0.012 + 0.012 * max(v['age'], 0)) * grain
        if freckles:
            factor -= np.clip(grain - 1.0, 0, 1) * np.float32(freckles) * (np.abs(t - 0.04) < 0.2)
        shadow = cv2.GaussianBlur(cap, (0, 0), 2.2 * scale)
        shift = int(2 * scale)
        factor[shift:] *= 1 - 0.42 * shadow[:-shift]
        blush = np.exp(-(((np.abs(s) - 0.24) / 0.11) ** 2 + ((t - 0.13) / 0.10) ** 2)) * np.float32(0.05 + 0.05 * v['skin_blush'])
        lit = lit * factor[..., None]
        lit[..., 1:] *= (1 - blush)[..., None]
        return skin * lit + gloss[..., None]

    def _drawn(self, skin, lit):
        """Two flat tones."""
        tone = np.where(lit[..., 1:2] > 0.86, np.float32(1.06), np.float32(0.84))
        return skin * cv2.GaussianBlur(tone, (3, 3), 0)[..., None]

    def _ink(self, canvas: Canvas) -> None:
        """Outlines where parts meet."""
        labels = canvas.labels
        edge = np.zeros_like(labels)
        for name in (('skin', 'nose', 'l_eye', 'r_eye', 'l_brow', 'r_brow', 'u_lip', 'l_lip', 'mouth', 'eye_g'), ('hair',), ('neck',), ('cloth',), ('l_ear', 'r_ear')):
            part = np.isin(labels, [PARTS.index(n) for n in name]).astype(np.uint8)
            edge |= cv2.morphologyEx(part, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8))
        canvas.picture[edge > 0] = _INK


def render(identity, attributes, size: int, *, domain: str = 'photo') -> Rendering:
    """Draw a face.

    identity, attributes: vectors in the order of IDENTITY and ATTRIBUTES. size: side in pixels, 32 to 256.
    domain: photo | drawing; a drawing shows the same face in the same pose, its shape exaggerated away from the mean
    face, in flat tones with outlines. Raises ValueError on another size, domain or shape of a vector.
    """
    if not SIZES[0] <= size <= SIZES[1]:
        raise ValueError(f'size must be {SIZES[0]} to {SIZES[1]} pixels, got {size}')
    if domain not in DOMAINS:
        raise ValueError(f'unknown domain {domain!r}; known: {", ".join(DOMAINS)}')
    drawing = domain == 'drawing'
    v = named(exaggerate(identity) if drawing else identity, IDENTITY)
    return Portrait(v, named(attributes, ATTRIBUTES), drawing).render(size)
