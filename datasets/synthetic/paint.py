"""From causes to an image: the head is turned, its outlines are filled, its surface is lit, the layers are put together.

Outlines are painted at twice the output side and downsampled; the label map is painted with the same polygons in the same
order, without antialiasing.
"""
import math
from dataclasses import dataclass

import cv2
import numpy as np

from datasets.synthetic import features, palette
from datasets.synthetic.canvas import UNITS, Canvas, blur, flat, over, positions, rgb, shares
from datasets.synthetic.causes import ATTRIBUTES, IDENTITY, exaggerate, named
from datasets.synthetic.features import LANDMARKS, WHERE, five
from datasets.synthetic.hair import Hair
from datasets.synthetic.head import EYE_LINE, Head, rotation, sight
from models.batch import FACE_PARTS, PARTS
from models.geometry import template

SIZES = (32, 256)
DOMAINS = ('photo', 'drawing')
_CENTER = np.array(template('face').points, np.float32)[:2].mean(0) - (0, EYE_LINE)  # where a head's center is seen, in units
_INK = (44, 34, 40)
_TURN = np.linspace(0, 2 * np.pi, 20, endpoint=False)
_SIDES = (('l_', -1), ('r_', 1))
_WRAP = np.array([0.42, 0.26, 0.22])  # light creeps further under the skin in red than in green and blue


@dataclass(frozen=True)
class Rendering:
    """image uint8 (size,size,3) RGB; parsing uint8 (size,size), ids of models.batch.PARTS; landmarks float32 (68,2) in the
    order of iBUG and points float32 (5,2), both in pixels, center of the first pixel at 0."""

    image: np.ndarray
    parsing: np.ndarray
    landmarks: np.ndarray
    points: np.ndarray


def _lift(head: Head, v: dict, a: dict) -> np.ndarray:
    """(N,3) outlines of the face in the head's frame; features.WHERE tells where in them each one lies."""
    points = head.lift(features.points(v, a, head.at, head.drop))
    return features.shapes(points, head.along(features.jaw_line(head.at, head.drop)))


def _mean_five() -> np.ndarray:
    v, a = dict.fromkeys(IDENTITY, 0.0), dict.fromkeys(ATTRIBUTES, 0.0)
    return five(_lift(Head(v, a), v, a)[LANDMARKS])


_MEAN = _mean_five().mean(0)  # in the head's frame: the framing follows it, whoever is drawn


def _ear(size: float) -> np.ndarray:
    """(side, ear or its hollow, 20, 3) in the head's frame."""
    c, s = np.cos(_TURN), np.sin(_TURN)
    ear = np.stack([43.0 + 3.6 * np.maximum(np.cos(_TURN + 0.3), -0.3), 3 + 14.5 * size * s,
                    -7 - 8.5 * size * c * (1 - 0.25 * s)], 1)
    right = np.stack([ear, (ear - (0, 3, -7)) * (1.02, 0.66, 0.6) + (0, 1.5, -8)])
    return np.stack([right * (-1, 1, 1), right]).astype(np.float32)


_EAR, _EAR_GROWTH = _ear(0), _ear(1) - _ear(0)


class Portrait:
    """One face in one setting, to be painted at any size."""

    def __init__(self, v: dict, a: dict, drawing: bool):
        self.v, self.a, self.drawing = v, a, drawing
        self.turn = rotation(a['yaw'], a['pitch'], a['roll'])
        self.project = np.ascontiguousarray(self.turn.T[:, :2])
        self.center = (_CENTER + (_MEAN - self.turn @ _MEAN)[:2]).astype(np.float32)
        self.head, self.hair, self.skin = Head(v, a), Hair(v), palette.skin(v)
        self.rim, self.rim_st = self.head.rim(self.turn)
        self.rim_seen = self.see(self.rim)
        self.seen = self.see(_lift(self.head, v, a))
        self.landmarks = self.seen[LANDMARKS]
        azimuth, elevation = math.radians(a['light_azimuth']), math.radians(a['light_elevation'])
        level = math.cos(elevation)
        self.light = math.sin(azimuth) * level, -math.sin(elevation), math.cos(azimuth) * level
        self.level = 2 ** (0.40 * a['exposure'])

    def see(self, points) -> np.ndarray:
        """(N,3) in the head's frame -> (N,2) units of the image."""
        return np.asarray(points, np.float32) @ self.project + self.center

    # ---- light -------------------------------------------------------------------------------------------------------

    def _surface(self, grid: int):
        """(G,G) depth and (2,G,G) surface coordinates of what is seen, on a grid of G points a side."""
        center, z = self.center[:, None, None], None
        for side, steps, rough in ((grid // 2, 3, 1), (grid, 1, 0)):
            xy = positions(side) - center
            z = cv2.resize(z, (side, side)) if z is not None else np.sqrt(np.maximum(66.0 ** 2 - xy[0] ** 2 - xy[1] ** 2, 4.0))
            at = sight(xy, self.turn)
            z = self.head.cast(at, z, steps, rough)
        return z, at(z)[1]

    def _lit(self, z, st) -> tuple[np.ndarray, np.ndarray]:
        """(G,G,3) factors on the skin's color and (G,G) gloss, float32."""
        v, a, pitch, (lx, ly, lz) = self.v, self.a, UNITS / len(z), self.light
        step, z = 8 * pitch, blur(z, 1.3 / pitch)
        nx, ny = cv2.Sobel(z, -1, 1, 0, scale=-1 / step), cv2.Sobel(z, -1, 0, 1, scale=-1 / step)
        nz = 1 / np.sqrt(nx * nx + ny * ny + 1)
        facing = (nx * lx + ny * ly + lz) * nz
        half = math.sqrt(lx * lx + ly * ly + (lz + 1) ** 2)  # the normal that shines halves the way from the light to the viewer
        shine = cv2.pow(np.maximum((facing + nz) * (1 / half), 0), 16)
        shine *= 20 * (0.4 + a['light_strength']) * self.level
        direct, warm = (0.30 + 0.75 * a['light_strength']) * self.level, a['light_warmth']
        hollow = blur(z, 4.8 / pitch)
        hollow -= z
        np.clip(hollow, -2.0, 3.5, out=hollow)
        hollow *= -0.055 * self.level
        ambient = np.add(hollow, 1.08 * self.level - 0.80 * direct, out=hollow)
        cheek = ((np.abs(st[0]) - 0.24) / 0.11) ** 2 + ((st[1] - 0.13) / 0.10) ** 2
        blush = np.exp(-np.minimum(cheek, 20, out=cheek))
        blush *= -(0.06 + 0.05 * v['skin_blush'])
        blush += 1
        lit = facing + np.float32(_WRAP)[:, None, None]
        np.maximum(lit, 0, out=lit)
        lit *= np.float32(direct * np.array([1 + 0.10 * warm, 1, 1 - 0.14 * warm]) / (1 + _WRAP))[:, None, None]
        lit += ambient
        lit[1:] *= blush
        return cv2.merge([*lit]), shine

    # ---- layers ------------------------------------------------------------------------------------------------------

    def _behind(self, canvas: Canvas, size: int) -> np.ndarray:
        """(size,size,3) float32: hair that hangs behind the neck, the neck and clothes, painted on a canvas."""
        v, a, (bx, by) = self.v, self.a, self.center.tolist()
        by += 96
        dim = self.skin * self.level * (0.80, 0.72, 0.70)
        for polygon in self.hair.behind(self.see):
            canvas.paint([canvas.corners(polygon)], self.hair.color * (0.45 * self.level), 'hair')
        width, (tx, ty) = 25 + 2.5 * v['jaw_width'], self.see([(0, 34, -14)])[0].tolist()
        sides = ((tx, width, ty - 18), (tx, width, ty + 14), (bx, width + 4, by - 28), (bx, width + 22, by - 8),
                 (bx, width + 22, by + 20))
        neck = [(x + w, y) for x, w, y in sides] + [(x - w, y) for x, w, y in sides[::-1]]
        cloth = palette.hsv(a['cloth_hue'], a['cloth_saturation'], 0.12 + 0.8 * a['cloth_value']) * self.level
        collar, y = a['collar'], by - 30 - 5 * a['collar']
        sides = ((0, 20 - 11 * collar), (width - 6, 3), (width + 4, -5 - 4 * collar), (width + 15, 4), (width + 60, 22),
                 (width + 60, 90))
        corners = canvas.corners(neck + [(bx + w, y + h) for w, h in sides] + [(bx - w, y + h) for w, h in sides[:0:-1]])
        canvas.paint([corners[:len(neck)]], dim, 'neck')
        canvas.paint([corners[len(neck):]], cloth, 'cloth')
        image, shaded = canvas.reduced(size), self.light[0] * a['light_strength']
        neck = (canvas.labels_at(size) == PARTS.index('neck')).astype(np.float32)
        jaws = [self.landmarks[2:15] + np.float32((-4 * shaded, 3)), self.landmarks[4:13] + np.float32((-10 * shaded, 12))]
        return canvas.soft(image, ([([canvas.corners(jaw) for jaw in jaws], 0.75)], dim * 0.45, 3.5, neck))

    def _ears(self, canvas: Canvas) -> dict[str, np.ndarray]:
        """label -> (2,20,2): corners of the ear and its hollow, of the ears that are not turned away or under hair."""
        if self.hair.grows and self.hair.long:
            return {}
        seen = canvas.corners(self.see(_EAR + _EAR_GROWTH * (1 + 0.16 * self.v['ear_size'])))
        return {n + 'ear': shapes for shapes, (n, side) in zip(seen, _SIDES) if side * self.a['yaw'] < 14}

    def _silhouette(self) -> list[np.ndarray]:
        """Two overlapping outlines, skull and jaw, so that the hollow at the temples stays."""
        height = self.rim[:, 1]
        return [cv2.convexHull(self.rim_seen.take(part.nonzero()[0], 0))[:, 0] for part in (height < 2, height > -12)]

    def _features(self, canvas: Canvas, s: dict) -> None:
        """What has hard edges on the skin, in flat colors: shades and light come after."""
        v, hair, opened = self.v, self.hair.color, self.a['mouth_open'] > 0.04
        canvas.label(s['nose'], 'nose')
        iris, awake = palette.iris(v), self.a['eye_close'] < 0.8
        canvas.paint(s['eye'], (228, 222, 218), 'l_eye', 'r_eye')
        if awake:
            for name, color in (('iris', iris * 0.5), ('ring', iris), ('pupil', (14, 10, 10)), ('glint', (250, 250, 250))):
                canvas.paint(s[name], color)
        canvas.paint(s['surround'] + s['eye'], self.skin)  # what lies between the two
        canvas.paint(s['lash'], (30, 20, 20))
        canvas.paint(s['brow'], hair * 0.62 + self.skin * 0.12, 'l_brow', 'r_brow')
        lips = palette.lips(v, self.skin)
        canvas.paint(s['mouth'], (52, 16, 18), 'mouth')
        if opened:
            canvas.paint(s['tongue'], (150, 70, 74))
            canvas.paint(s['teeth'], (232, 226, 216))
        canvas.paint(s['u_lip'], lips * 0.90, 'u_lip')
        canvas.paint(s['l_lip'], lips, 'l_lip')

    def _shades(self, canvas: Canvas, s: dict, size: int) -> np.ndarray:
        """(size,size,3) float32: the features with what has soft edges: beard, make-up, folds and creases."""
        v, a, skin, hair = self.v, self.a, self.skin, self.hair.color
        layers = []
        dark, age, make = skin * np.array([0.62, 0.50, 0.47], np.float32), max(v['age'], 0), max(v['makeup'], 0)
        if v['beard'] > 0:
            lips = shares(canvas.masks([(s['u_lip'] + s['l_lip'] + s['mouth'], 1)]), size)[0]
            layers.append(([(s['beard'], 0.30 + 0.60 * min(1.6 * v['beard'], 1))],
                           np.minimum(hair * 0.58 + skin * 0.18, skin * 0.72), 2.4, 1 - lips))
        if make > 0.15:
            layers.append(([(s['lid'], 0.55 * make)], dark * 0.75 + np.array([28, 0, 22]) * make, 0.6, None))
        layers.append(([
            (s['lid'] + s['bag'], 0.25 + 0.15 * age), (s['rim'] + s['under_nose'] + s['under_lip'], 0.42), (s['crease'], 0.9),
            (s['fold'], 0.26 + 0.2 * age + 0.2 * max(a['smile'], 0)), (s['wing'], 0.6)], dark, 0.8, None))
        eyes = [(s['shade'], 0.6), (s['glint'], 0)] if a['eye_close'] < 0.8 else []
        mouth = [(s['parting'], 0.85)] if a['mouth_open'] <= 0.04 else []
        layers.append(([*eyes, (s['nostril'], 0.9), *mouth], dark * 0.35, 0.5, None))
        if self.drawing:
            layers.append(([(s['wing'] + s['nostril'], 1.0)], _INK, 0.3, None))
        return canvas.soft(canvas.reduced(size), *layers)

    def _glasses(self) -> tuple[list, list, np.ndarray, float]:
        """Frames, the other rods, the color and the strength in units."""
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
        color = palette.hsv(kind * 3.7, 0.5 * ((kind * 5) % 1), 0.14 + 0.5 * ((kind * 11) % 1) ** 2)
        return frames, rods, color, 1.2 + 0.9 * ((kind * 13) % 1)

    # ---- the image -------------------------------------------------------------------------------------------------

    def render(self, size: int) -> Rendering:
        side = 2 * size
        work = side if self.drawing else size  # drawings are supersampled
        back = Canvas(palette.backdrop(self.a, side))
        image = self._behind(back, work)
        face = Canvas(flat(side, self.skin))
        face.labels = back.labels
        ears, crown = self._ears(face), self.hair.crown(self) if self.hair.grows else []
        masks = face.masks([([face.corners(outline)], 1) for outline in self._silhouette()],
                           [([face.corners(outline)], 1) for outline in crown], [([ear for ear, _ in ears.values()], 1)])
        np.copyto(face.labels, PARTS.index('skin'), where=masks[0] > 127)
        corners = face.corners(self.seen)
        outlines = {name: [corners[part] for part in parts] for name, parts in WHERE.items()}
        self._features(face, outlines)
        if ears:
            face.paint([ear for ear, _ in ears.values()], self.skin * (0.98, 0.92, 0.90), *ears)
            face.paint([hollow for _, hollow in ears.values()], self.skin * (0.76, 0.62, 0.58))
        skin, labels = self._shades(face, outlines, work), face.labels_at(work).copy()
        head, crown, over_head = shares(masks, work)
        z, st = self._surface(48 if size <= 64 else 96)
        lit, gloss = self._lit(z, st)
        if len(z) != work:
            lit, gloss, *st = [cv2.resize(grid, (work, work)) for grid in (lit, gloss, *st)]
        cap = self.hair.cap(*st, work / UNITS)
        if ears:
            head = np.maximum(head, over_head)
            cap *= 1 - over_head
        if self.drawing:
            tones = np.where(lit[..., 1] > 0.86 * self.level, np.float32(1.06), np.float32(0.84))
            skin *= rgb(cv2.GaussianBlur(tones, (3, 3), 0))
        else:
            skin *= lit
            skin *= rgb(self._texture(st, cap))
            skin += rgb(gloss)
            green = np.maximum(skin[..., 1], 1)
            bright = np.maximum(green - 150, 0)
            skin *= rgb(1 - bright * bright / ((150 + bright) * green))  # highlights are compressed, as on video
        if self.hair.grows:
            strands = self.hair.strands(work, self)
            image = over(image, strands, crown)
            cap *= np.maximum(head, crown)
            hairy = np.maximum(crown * (1 - head), cap)
            np.copyto(labels, PARTS.index('hair'), where=hairy > 0.5)
        image = over(image, skin, head)
        if self.hair.grows:
            image = over(image, strands, cap)
        if self.a['glasses'] > 0:
            frames, rods, color, width = self._glasses()
            frames, rods = [[face.corners(line) for line in lines] for lines in (frames, rods)]
            wire, glass = face.strokes(frames, rods, width), face.masks([([frame], 1) for frame in frames])[0]
            wire, glass = shares(np.array([wire, glass]), work)
            image += rgb(glass * np.float32(0.07 * 255 * self.level))
            image = over(image, flat(work, color * self.level, np.float32), wire)
            np.copyto(labels, PARTS.index('eye_g'), where=(glass > 0.5) | (wire > 0.5))
        if self.drawing:
            self._ink(image, labels)
        elif self.a['blur'] > 0:
            image = blur(image, 0.02 + 0.015 * self.a['blur'] * size)
        image = np.minimum(image, 255, out=image).astype(np.uint8)
        if self.drawing:
            image, labels = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA), labels[1::2, 1::2].copy()
        landmarks = ((self.landmarks + 0.5) * (size / UNITS) - 0.5).astype(np.float32)
        return Rendering(image, labels, landmarks, five(landmarks))

    def _texture(self, st, cap) -> np.ndarray:
        """(S,S) float32, factors: the grain of the skin, freckles, and the soft shadow that hair throws on the forehead."""
        v, scale = self.v, len(cap) / UNITS
        x, y = [along * 110 + 384 for along in st]
        factor = cv2.remap(palette.wide_noise(), x, y, cv2.INTER_LINEAR)
        freckles = max(v['freckles'] - 0.3, 0) * 0.28
        grain = 0.012 + 0.006 * max(v['age'], 0)
        if freckles:
            spots = np.clip(factor - 1.0, 0, 1) * np.float32(freckles) * (np.abs(st[1] - 0.04) < 0.2)
            factor = factor * grain + 1 - spots
        else:
            factor *= grain
            factor += 1
        if self.hair.grows:
            shift = max(1, round(2 * scale))
            factor[shift:] *= 1 - 0.40 * blur(cap, 2.0 * scale)[:-shift]
        return factor

    def _ink(self, image: np.ndarray, labels: np.ndarray) -> None:
        """Lines where parts meet."""
        edge = np.zeros_like(labels)
        for names in (FACE_PARTS, ('hair',), ('neck',), ('cloth',), ('l_ear', 'r_ear'), ('u_lip',), ('l_lip',),
                      ('l_eye', 'r_eye')):
            part = np.isin(labels, [PARTS.index(n) for n in names]).astype(np.uint8)
            edge |= cv2.morphologyEx(part, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8))
        width = max(1, round(len(labels) / 160))
        edge = cv2.dilate(edge, np.ones((width, width), np.uint8))
        image[edge > 0] = _INK


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
