"""From causes to a picture: the head is turned, its outlines are filled, its surface is lit, the layers are put together.

Outlines are painted at twice the wanted side and averaged down; the label map is painted with the same polygons in the same
order, without antialiasing.
"""
import math
from dataclasses import dataclass

import cv2
import numpy as np

from datasets.synthetic import palette
from datasets.synthetic.canvas import UNITS, Canvas, blur, flat, over, positions, rgb
from datasets.synthetic.causes import ATTRIBUTES, IDENTITY, exaggerate, named
from datasets.synthetic.features import LANDMARK_SOURCES, five, jaw_line, outlines
from datasets.synthetic.hair import Hair
from datasets.synthetic.head import EYE_LINE, Head, rotation
from models.batch import FACE_PARTS, PARTS
from models.geometry import template

SIZES = (32, 256)
DOMAINS = ('photo', 'drawing')
_CENTRE = np.array(template('face').points, np.float32)[:2].mean(0) - (0, EYE_LINE)  # where a head's centre is seen, in units
_BELOW = np.array([1, 1.15, 0.6], np.float32)
_INK = (44, 34, 40)
_TURN = np.linspace(0, 2 * np.pi, 20, endpoint=False)
_SIDES = (('l_', -1), ('r_', 1))


@dataclass(frozen=True)
class Rendering:
    """picture uint8 (size,size,3) RGB; parsing uint8 (size,size), ids of models.batch.PARTS; landmarks float32 (68,2) in the
    order of iBUG and points float32 (5,2), both in pixels, centre of the first pixel at 0."""

    picture: np.ndarray
    parsing: np.ndarray
    landmarks: np.ndarray
    points: np.ndarray


def _lift(head: Head, v: dict, a: dict) -> tuple[np.ndarray, dict[str, slice]]:
    """(N,3) points in the head's frame and where in them lie the outlines of the face and the 68 `landmarks`."""
    shapes = outlines(v, a, head.at, head.drop)
    where, count = {}, 0
    for name, shape in shapes.items():
        where[name] = slice(count, count + len(shape))
        count += len(shape)
    points = head.lift(np.concatenate(list(shapes.values())))
    where['landmarks'] = slice(count, count + 68)
    jaw = jaw_line(head.at, head.drop)
    edge = head.along(np.concatenate([jaw, jaw[3:14] * _BELOW]))  # and what lies under the jaw
    where['throat'] = slice(count + 68, count + 79)
    return np.concatenate([points, edge[:17], *[points[where[name]] for name in LANDMARK_SOURCES], edge[17:]]), where


def _mean_five() -> np.ndarray:
    v, a = dict.fromkeys(IDENTITY, 0.0), dict.fromkeys(ATTRIBUTES, 0.0)
    points, where = _lift(Head(v, a), v, a)
    return five(points[where['landmarks']])


_MEAN_FIVE = _mean_five()  # (5,3) in the head's frame: the framing follows them, whoever is drawn


class Portrait:
    """One face in one setting, to be painted at any size."""

    def __init__(self, v: dict, a: dict, drawing: bool):
        self.v, self.a, self.drawing = v, a, drawing
        self.turn = rotation(a['yaw'], a['pitch'], a['roll'])
        self.project = np.ascontiguousarray(self.turn.T[:, :2])
        self.centre = (_CENTRE + (_MEAN_FIVE - _MEAN_FIVE @ self.turn.T).mean(0)[:2]).astype(np.float32)
        self.head, self.hair, self.skin = Head(v, a), Hair(v), palette.skin(v)
        points = self.head.vertices
        depth = points @ self.turn[2]
        self.rim = points[depth * depth < 0.45 * (points * points).sum(1)]  # what is seen from the side
        lifted, self.where = _lift(self.head, v, a)
        self.seen = self.see(lifted)
        self.landmarks = self.seen[self.where['landmarks']]
        azimuth, elevation = math.radians(a['light_azimuth']), math.radians(a['light_elevation'])
        level = math.cos(elevation)
        self.light = np.array([math.sin(azimuth) * level, -math.sin(elevation), math.cos(azimuth) * level], np.float32)
        self.level = 2 ** (0.40 * a['exposure'])

    def see(self, points) -> np.ndarray:
        """(N,3) in the head's frame -> (N,2) units of the picture."""
        return np.asarray(points, np.float32) @ self.project + self.centre

    # ---- light -------------------------------------------------------------------------------------------------------

    def _surface(self, grid: int):
        """(G,G) depth and surface coordinates of what is seen, on a grid of G points a side."""
        z = None
        for side, steps in ((grid // 2, 4), (grid, 1)):
            x, y = positions(side)
            guess = None if z is None else cv2.resize(z, (side, side))
            z, s, t = self.head.cast(x - self.centre[0], y - self.centre[1], self.turn, steps, guess)
        return z, s, t

    def _lit(self, z, s, t) -> tuple[np.ndarray, np.ndarray]:
        """(G,G,3) factors on the skin's colour and (G,G) gloss, float32."""
        v, a, pitch = self.v, self.a, UNITS / len(z)
        step, z = 8 * pitch, blur(z, 1.3 / pitch)
        nx, ny = cv2.Sobel(z, -1, 1, 0, scale=-1 / step), cv2.Sobel(z, -1, 0, 1, scale=-1 / step)
        nz = 1 / np.sqrt(nx * nx + ny * ny + 1)
        facing = (nx * self.light[0] + ny * self.light[1] + self.light[2]) * nz
        half = self.light + np.array([0, 0, 1], np.float32)
        half /= np.linalg.norm(half)
        shine = np.maximum((nx * half[0] + ny * half[1] + half[2]) * nz, 0)
        shine = cv2.pow(shine, 16) * np.float32(20 * (0.4 + a['light_strength']) * self.level)
        hollow = np.clip(blur(z, 4.8 / pitch) - z, -2.0, 3.5)
        direct, warm = 0.30 + 0.75 * a['light_strength'], a['light_warmth']
        ambient = 1.08 - 0.80 * direct - 0.055 * hollow
        cheek = np.exp(-np.minimum(((np.abs(s) - 0.24) / 0.11) ** 2 + ((t - 0.13) / 0.10) ** 2, 20))
        blush, lit = 1 - (0.06 + 0.05 * v['skin_blush']) * cheek, []
        # Light creeps further under the skin in red than in green and blue.
        for wrap, tint, filtered in ((0.42, 1 + 0.10 * warm, 1), (0.26, 1.0, blush), (0.22, 1 - 0.14 * warm, blush)):
            lit.append((ambient + np.maximum(facing + wrap, 0) * (direct * tint / (1 + wrap))) * self.level * filtered)
        return cv2.merge(lit), shine

    # ---- layers ------------------------------------------------------------------------------------------------------

    def _behind(self, canvas: Canvas) -> None:
        """Hair that hangs behind the neck, the neck, clothes."""
        v, a, centre = self.v, self.a, self.centre
        dim = self.skin * self.level * (0.80, 0.72, 0.70)
        for polygon in self.hair.behind(self.see):
            canvas.paint(polygon, self.hair.colour * 0.45 * self.level, 'hair')
        width = 25 + 2.5 * v['jaw_width']
        (tx, ty), (bx, by) = self.see([(0, 34, -14)])[0], centre + (0, 96)
        right = np.array([(width, ty - 18 - by), (width, ty + 14 - by), (width + 4, -28), (width + 22, -8), (width + 22, 20)],
                         np.float32)
        lean = np.array([tx - bx, tx - bx, 0, 0, 0], np.float32)[:, None] * (1, 0)
        canvas.paint(np.concatenate([right + lean, (right * (-1, 1) + lean)[::-1]]) + (bx, by), dim, 'neck')
        shaded = self.light[0] * a['light_strength']
        canvas.soft([([self.landmarks[2:15] + (-4 * shaded, 3), self.landmarks[4:13] + (-10 * shaded, 12)], 0.75)],
                    dim * 0.45, 3.5, within='neck')
        cloth = palette.hsv(a['cloth_hue'], a['cloth_saturation'], 0.12 + 0.8 * a['cloth_value']) * self.level
        collar, y = a['collar'], by - 30 - 5 * a['collar']
        right = np.array([(0, 20 - 11 * collar), (width - 6, 3), (width + 4, -5 - 4 * collar), (width + 15, 4), (width + 60, 22),
                          (width + 60, 90)])
        canvas.paint(np.concatenate([right, (right * (-1, 1))[:0:-1]]) + (bx, y), cloth, 'cloth')

    def _ears(self) -> dict[str, np.ndarray]:
        """The outlines of the ears that are not turned away or under hair; the hollow of each beside it."""
        if self.hair.grows and self.hair.long:
            return {}
        size, shapes = 1 + 0.16 * self.v['ear_size'], {}
        for n, side in _SIDES:
            if side * self.a['yaw'] < 14:
                lobe = 1 - 0.25 * np.sin(_TURN)
                shape = np.stack([side * (43.0 + 3.6 * np.maximum(np.cos(_TURN + 0.3), -0.3)), 3 + 14.5 * size * np.sin(_TURN),
                                  -7 - 8.5 * size * np.cos(_TURN) * lobe], 1)
                shapes[n + 'ear'] = self.see(shape)
                shapes[n + 'hollow'] = self.see((shape - (0, 3, -7)) * (1.02, 0.66, 0.6) + (0, 1.5, -8))
        return shapes

    def _silhouette(self) -> list[np.ndarray]:
        """Two overlapping outlines, skull and jaw, so that the hollow at the temples stays."""
        return [cv2.convexHull(self.see(self.rim[part]))[:, 0] for part in (self.rim[:, 1] < 2, self.rim[:, 1] > -12)]

    def _features(self, canvas: Canvas) -> None:
        """Everything on the skin, in flat colours: light comes after."""
        v, a, skin, hair = self.v, self.a, self.skin, self.hair.colour
        corners = canvas.corners(self.seen)
        s = {name: corners[part] for name, part in self.where.items()}
        both = lambda name: [s['l_' + name], s['r_' + name]]  # noqa: E731
        dark, age, opened = skin * np.array([0.62, 0.50, 0.47], np.float32), max(v['age'], 0), a['mouth_open'] > 0.04
        if v['beard'] > 0:
            beard = np.concatenate([s['beard'], s['landmarks'][15:13:-1], s['throat'][::-1], s['landmarks'][2:0:-1]])
            density = 0.30 + 0.60 * min(1.6 * v['beard'], 1)
            canvas.soft([([beard], density)], np.minimum(hair * 0.58 + skin * 0.18, skin * 0.72), 2.4)
        canvas.label(s['nose'], 'nose')
        self._eyes(canvas, s, both)
        make = max(v['makeup'], 0)
        if make > 0.15:
            canvas.soft([(both('lid'), 0.55 * make)], dark * 0.75 + np.array([28, 0, 22]) * make, 0.6)
        canvas.soft([(both('lid'), 0.25), (both('bag'), 0.25 + 0.2 * age), (both('rim'), 0.4), (both('crease'), 0.9),
                     (both('fold'), 0.26 + 0.2 * age + 0.2 * max(a['smile'], 0)), (both('wing'), 0.6), ([s['under_nose']], 0.45),
                     ([s['under_lip']], 0.4)], dark, 0.8)
        for n, _ in _SIDES:
            canvas.paint(s[n + 'lash'], (30, 20, 20))
        brow = hair * 0.62 + skin * 0.12
        for n, _ in _SIDES:
            canvas.paint(s[n + 'brow'], brow, n + 'brow')
        lips = palette.lips(v)
        canvas.paint(s['mouth'], (52, 16, 18), 'mouth')
        if opened:
            canvas.paint(s['tongue'], (150, 70, 74))
            canvas.paint(s['teeth'], (232, 226, 216))
        canvas.paint(s['u_lip'], lips * 0.90, 'u_lip')
        canvas.paint(s['l_lip'], lips, 'l_lip')
        canvas.soft([(both('nostril'), 0.9), ([s['parting']], 0.0 if opened else 0.85)], dark * 0.35, 0.45)
        if self.drawing:
            canvas.soft([(both('wing'), 1.0), (both('nostril'), 1.0)], _INK, 0.3)

    def _eyes(self, canvas: Canvas, s, both) -> None:
        iris, opened = palette.iris(self.v), self.a['eye_close'] < 0.8
        for n, _ in _SIDES:
            canvas.paint(s[n + 'eye'], (228, 222, 218), n + 'eye')
            if opened:
                canvas.paint(s[n + 'iris'], iris * 0.5)
                canvas.paint(s[n + 'ring'], iris)
                canvas.paint(s[n + 'pupil'], (14, 10, 10))
        if opened:
            canvas.soft([(both('shade'), 0.6)], (50, 36, 36), 0.6)
        for n, _ in _SIDES:
            if opened:
                canvas.paint(s[n + 'glint'], (250, 250, 250))
            canvas.around(s[n + 'surround'], s[n + 'eye'], self.skin)

    def _glasses(self) -> tuple[list, list, np.ndarray, float]:
        """Frames, the other rods, the colour and the strength in units."""
        at, kind = self.head.at, self.a['glasses']
        power = 2 / (2.2 + 2.4 * ((kind * 7) % 1))
        c, d = [np.sign(w) * np.abs(w) ** power for w in (np.cos(_TURN), np.sin(_TURN))]
        x, y, front = at['eye_x'] * 1.03, at['eye_y'] + EYE_LINE, 52.0
        wide, high = 14.6, 9.0 + 2.5 * ((kind * 3) % 1)
        frames = [self.see(np.stack([side * x + wide * c, y + 1.5 + high * d, front - 3.5 * (side * c > 0.3)], 1))
                  for _, side in _SIDES]
        inner = x - wide
        bridge = np.array([(-inner, y, front), (-inner * 0.5, y - 1.5, front + 3)])
        rods = [self.see(np.concatenate([bridge, bridge[::-1] * (-1, 1, 1)]))]
        rods += [self.see([(side * (x + wide), y - 1, front - 5), (side * 44.5, y - 1, 4)])
                 for _, side in _SIDES if side * self.a['yaw'] < 25]
        colour = palette.hsv(kind * 3.7, 0.5 * ((kind * 5) % 1), 0.14 + 0.5 * ((kind * 11) % 1) ** 2)
        return frames, rods, colour, 1.2 + 0.9 * ((kind * 13) % 1)

    # ---- the picture -------------------------------------------------------------------------------------------------

    def render(self, size: int) -> Rendering:
        side = 2 * size
        work = side if self.drawing else size  # outlines of a drawing are averaged down, too
        reduce = lambda picture: cv2.resize(picture, (work, work), interpolation=cv2.INTER_AREA)  # noqa: E731
        large = lambda grid: grid if len(grid) == work else cv2.resize(grid, (work, work))  # noqa: E731
        weight = lambda mask: reduce(mask) * np.float32(1 / 255)  # noqa: E731
        back = Canvas(palette.backdrop(self.a, side))
        self._behind(back)
        face = Canvas(flat((side, side, 3), self.skin))
        face.labels = back.labels
        head, ears = face.mask(self._silhouette()), self._ears()
        np.copyto(face.labels, PARTS.index('skin'), where=head > 127)
        self._features(face)
        for n, _ in _SIDES:
            if n + 'ear' in ears:
                face.paint(ears[n + 'ear'], self.skin * (0.98, 0.92, 0.90), n + 'ear')
                face.paint(ears[n + 'hollow'], self.skin * (0.76, 0.62, 0.58))
        ears = weight(face.mask([ears[n] for n in ('l_ear', 'r_ear') if n in ears]))
        head = np.maximum(weight(head), ears)
        labels = face.labels if self.drawing else face.labels[1::2, 1::2].copy()

        z, s, t = self._surface(64 if size <= 64 else 96)
        lit, gloss = self._lit(z, s, t)
        s, t, lit = large(s), large(t), large(lit)
        picture, skin = reduce(back.picture).astype(np.float32), reduce(face.picture).astype(np.float32)
        cap = self.hair.cap(s, t, work / UNITS) * (1 - ears)
        if self.drawing:
            tones = np.where(lit[..., 1] > 0.86 * self.level, np.float32(1.06), np.float32(0.84))
            skin *= rgb(cv2.GaussianBlur(tones, (3, 3), 0))
        else:
            skin = skin * self._texture(lit, s, t, cap) + rgb(large(gloss))
            green = np.maximum(skin[..., 1], 1)
            bright = np.maximum(green - 150, 0)
            skin *= rgb(1 - bright * bright / ((150 + bright) * green))  # highlights are compressed, as on film
        if self.hair.grows:
            crown = weight(face.mask(self.hair.crown(self.rim, self.see)))
            strands = self.hair.strands(work, self)
            picture = over(picture, strands, crown)
            cap *= np.maximum(head, crown)
            hairy = np.maximum(crown * (1 - head), cap)
            np.copyto(labels, PARTS.index('hair'), where=hairy > 0.5)
        picture = over(picture, skin, head)
        if self.hair.grows:
            picture = over(picture, strands, cap)
        if self.a['glasses'] > 0:
            frames, rods, colour, width = self._glasses()
            wire = weight(face.strokes(frames, rods, width))
            glass = reduce(face.mask(frames))
            picture += (glass * np.float32(0.07))[..., None] * np.float32(self.level)
            picture = over(picture, np.broadcast_to(colour * self.level, picture.shape).copy(), wire)
            np.copyto(labels, PARTS.index('eye_g'), where=(glass > 127) | (wire > 0.5))
        if self.drawing:
            self._ink(picture, labels)
        elif self.a['blur'] > 0:
            picture = blur(picture, 0.02 + 0.015 * self.a['blur'] * size)
        picture = np.minimum(picture, 255).astype(np.uint8)
        if self.drawing:
            picture, labels = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA), labels[1::2, 1::2].copy()
        landmarks = ((self.landmarks + 0.5) * (size / UNITS) - 0.5).astype(np.float32)
        return Rendering(picture, labels, landmarks, five(landmarks))

    def _texture(self, lit, s, t, cap) -> np.ndarray:
        """Light, the grain of the skin, freckles, and the soft shadow that hair throws on the forehead."""
        v, scale = self.v, len(s) / UNITS
        grain = cv2.remap(palette.noise(), s * 110 + 128, t * 110 + 128, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        factor = 1 + np.float32(0.012 + 0.006 * max(v['age'], 0)) * grain
        freckles = max(v['freckles'] - 0.3, 0) * 0.28
        if freckles:
            factor -= np.clip(grain - 1.0, 0, 1) * np.float32(freckles) * (np.abs(t - 0.04) < 0.2)
        shift = max(1, round(2 * scale))
        factor[shift:] *= 1 - 0.40 * blur(cap, 2.0 * scale)[:-shift]
        return lit * rgb(factor)

    def _ink(self, picture: np.ndarray, labels: np.ndarray) -> None:
        """Lines where parts meet."""
        edge = np.zeros_like(labels)
        for names in (FACE_PARTS, ('hair',), ('neck',), ('cloth',), ('l_ear', 'r_ear'), ('u_lip',), ('l_lip',),
                      ('l_eye', 'r_eye')):
            part = np.isin(labels, [PARTS.index(n) for n in names]).astype(np.uint8)
            edge |= cv2.morphologyEx(part, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8))
        width = max(1, round(len(labels) / 160))
        edge = cv2.dilate(edge, np.ones((width, width), np.uint8))
        picture[edge > 0] = _INK


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
