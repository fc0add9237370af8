"""Layers of a portrait: neck and clothes, silhouette, ears, features of the face, glasses, and the lines of a drawing."""
from typing import NamedTuple

import cv2
import numpy as np

from datasets.synthetic import palette
from datasets.synthetic.canvas import Canvas, Layer, Polygons, downsample_masks
from datasets.synthetic.hair import Hair
from datasets.synthetic.head import EYE_LINE
from datasets.synthetic.scene import Scene
from models.batch import FACE_PARTS, PARTS

_LINE_RGB = (44, 34, 40)
_ANGLES = np.linspace(0, 2 * np.pi, 20, endpoint=False)
_SIDES = (('l_', -1), ('r_', 1))
_MAX_EYE_CLOSE = 0.8    # above it, irises are hidden
_MIN_MOUTH_OPEN = 0.04  # above it, teeth and tongue are visible
_CONTOURED_PARTS = (FACE_PARTS, ('hair',), ('neck',), ('cloth',), ('l_ear', 'r_ear'), ('u_lip',), ('l_lip',), ('l_eye', 'r_eye'))


def _ear(size: float) -> np.ndarray:
    """(side, ear or its hollow, 20, 3) float32 in the frame of the head."""
    c, s = np.cos(_ANGLES), np.sin(_ANGLES)
    ear = np.stack([43.0 + 3.6 * np.maximum(np.cos(_ANGLES + 0.3), -0.3), 3 + 14.5 * size * s,
                    -7 - 8.5 * size * c * (1 - 0.25 * s)], 1)
    right = np.stack([ear, (ear - (0, 3, -7)) * (1.02, 0.66, 0.6) + (0, 1.5, -8)])
    return np.stack([right * (-1, 1, 1), right]).astype(np.float32)


_EAR, _EAR_GROWTH = _ear(0), _ear(1) - _ear(0)


def body(canvas: Canvas, scene: Scene, hair: Hair, size: int) -> np.ndarray:
    """(size,size,3) float32: hair behind the neck, neck and clothes, rendered over the image of the canvas."""
    v, a, (bx, by) = scene.v, scene.a, scene.center.tolist()
    by += 96
    neck_color = scene.skin * scene.exposure * (0.80, 0.72, 0.70)
    for polygon in hair.back(scene.project):
        canvas.fill([canvas.to_fixed_point(polygon)], hair.color * (0.45 * scene.exposure), 'hair')
    width, (tx, ty) = 25 + 2.5 * v['jaw_width'], scene.project([(0, 34, -14)])[0].tolist()
    neck_sides = ((tx, width, ty - 18), (tx, width, ty + 14), (bx, width + 4, by - 28), (bx, width + 22, by - 8),
                  (bx, width + 22, by + 20))
    neck = [(x + w, y) for x, w, y in neck_sides] + [(x - w, y) for x, w, y in neck_sides[::-1]]
    cloth_color = palette.hsv(a['cloth_hue'], a['cloth_saturation'], 0.12 + 0.8 * a['cloth_value']) * scene.exposure
    collar, y = a['collar'], by - 30 - 5 * a['collar']
    cloth_sides = ((0, 20 - 11 * collar), (width - 6, 3), (width + 4, -5 - 4 * collar), (width + 15, 4), (width + 60, 22),
                   (width + 60, 90))
    cloth = [(bx + w, y + h) for w, h in cloth_sides] + [(bx - w, y + h) for w, h in cloth_sides[:0:-1]]
    corners = canvas.to_fixed_point(neck + cloth)
    canvas.fill([corners[:len(neck)]], neck_color, 'neck')
    canvas.fill([corners[len(neck):]], cloth_color, 'cloth')
    image, shift = canvas.downsampled(size), scene.light[0] * a['light_strength']
    neck_mask = (canvas.labels_at(size) == PARTS.index('neck')).astype(np.float32)
    shadows = [scene.landmarks[2:15] + np.array((-4 * shift, 3), np.float32),
               scene.landmarks[4:13] + np.array((-10 * shift, 12), np.float32)]
    return canvas.composite(image, Layer([([canvas.to_fixed_point(shadow) for shadow in shadows], 0.75)], neck_color * 0.45, 3.5,
                                         neck_mask))


def ears(canvas: Canvas, scene: Scene, hair: Hair) -> dict[str, np.ndarray]:
    """label -> (2,20,2): polygons of the ear and its hollow, for the ears that face the viewer and are not covered by hair."""
    if hair.visible and hair.is_long:
        return {}
    polygons = canvas.to_fixed_point(scene.project(_EAR + _EAR_GROWTH * (1 + 0.16 * scene.v['ear_size'])))
    return {prefix + 'ear': pair for pair, (prefix, side) in zip(polygons, _SIDES) if side * scene.a['yaw'] < 14}


def silhouette(scene: Scene) -> list[np.ndarray]:
    """Two overlapping outlines (N,2) in units, skull and jaw; a single convex hull would fill the hollows at the temples."""
    height = scene.rim[:, 1]
    return [cv2.convexHull(scene.rim_projected.take(part.nonzero()[0], 0))[:, 0] for part in (height < 2, height > -12)]


def features(canvas: Canvas, scene: Scene, hair: Hair, polygons: dict[str, Polygons]) -> None:
    """Render the features of the face with hard edges, in flat colors, and their labels; `polygons` by the names of OUTLINES."""
    canvas.fill_labels(polygons['nose'], 'nose')
    iris = palette.iris(scene.v)
    canvas.fill(polygons['eye'], (228, 222, 218), 'l_eye', 'r_eye')
    if scene.a['eye_close'] < _MAX_EYE_CLOSE:
        for name, color in (('iris', iris * 0.5), ('ring', iris), ('pupil', (14, 10, 10)), ('glint', (250, 250, 250))):
            canvas.fill(polygons[name], color)
    canvas.fill(polygons['surround'] + polygons['eye'], scene.skin)  # even-odd: the area between the two
    canvas.fill(polygons['lash'], (30, 20, 20))
    canvas.fill(polygons['brow'], hair.color * 0.62 + scene.skin * 0.12, 'l_brow', 'r_brow')
    lips = palette.lips(scene.v, scene.skin)
    canvas.fill(polygons['mouth'], (52, 16, 18), 'mouth')
    if scene.a['mouth_open'] > _MIN_MOUTH_OPEN:
        canvas.fill(polygons['tongue'], (150, 70, 74))
        canvas.fill(polygons['teeth'], (232, 226, 216))
    canvas.fill(polygons['u_lip'], lips * 0.90, 'u_lip')
    canvas.fill(polygons['l_lip'], lips, 'l_lip')


def soft_features(canvas: Canvas, scene: Scene, hair: Hair, polygons: dict[str, Polygons], size: int) -> np.ndarray:
    """(size,size,3) float32: the image of the canvas with blurred layers: beard, makeup, folds and creases."""
    v, a, skin, s = scene.v, scene.a, scene.skin, polygons
    layers = []
    dark, age, makeup = skin * np.array([0.62, 0.50, 0.47], np.float32), max(v['age'], 0), max(v['makeup'], 0)
    if v['beard'] > 0:
        lips = downsample_masks(canvas.coverage([(s['u_lip'] + s['l_lip'] + s['mouth'], 1)]), size)[0]
        layers.append(Layer([(s['beard'], 0.30 + 0.60 * min(1.6 * v['beard'], 1))],
                            np.minimum(hair.color * 0.58 + skin * 0.18, skin * 0.72), 2.4, 1 - lips))
    if makeup > 0.15:
        layers.append(Layer([(s['lid'], 0.55 * makeup)], dark * 0.75 + np.array([28, 0, 22]) * makeup, 0.6))
    layers.append(Layer([
        (s['lid'] + s['bag'], 0.25 + 0.15 * age), (s['rim'] + s['under_nose'] + s['under_lip'], 0.42), (s['crease'], 0.9),
        (s['fold'], 0.26 + 0.2 * age + 0.2 * max(a['smile'], 0)), (s['wing'], 0.6)], dark, 0.8))
    eyes = [(s['shade'], 0.6), (s['glint'], 0.0)] if a['eye_close'] < _MAX_EYE_CLOSE else []
    mouth = [(s['parting'], 0.85)] if a['mouth_open'] <= _MIN_MOUTH_OPEN else []
    layers.append(Layer([*eyes, (s['nostril'], 0.9), *mouth], dark * 0.35, 0.5))
    if scene.is_drawing:
        layers.append(Layer([(s['wing'] + s['nostril'], 1.0)], _LINE_RGB, 0.3))
    return canvas.composite(canvas.downsampled(size), *layers)


class Glasses(NamedTuple):
    """Closed outlines of the lenses and open polylines of bridge and temples (N,2) in units, RGB color in 0..255, and the width
    of the frame in units."""

    lenses: list[np.ndarray]
    rods: list[np.ndarray]
    color: np.ndarray
    width: float


def glasses(scene: Scene) -> Glasses:
    """The glasses of the attributes; the value of `glasses` selects shape, color and width."""
    layout, style = scene.head.layout, scene.a['glasses']
    power = 2 / (2.2 + 2.4 * ((style * 7) % 1))
    c, d = [np.sign(w) * np.abs(w) ** power for w in (np.cos(_ANGLES), np.sin(_ANGLES))]
    x, y, front = layout['eye_x'] * 1.03, layout['eye_y'] + EYE_LINE, 52.0
    half_width, half_height = 14.6, 9.0 + 2.5 * ((style * 3) % 1)
    lenses = [scene.project(np.stack([side * x + half_width * c, y + 1.5 + half_height * d, front - 3.5 * (side * c > 0.3)], 1))
              for _, side in _SIDES]
    inner = x - half_width
    bridge = np.array([(-inner, y, front), (-inner * 0.5, y - 1.5, front + 3)])
    rods = [scene.project(np.concatenate([bridge, bridge[::-1] * (-1, 1, 1)]))]
    rods += [scene.project([(side * (x + half_width), y - 1, front - 5), (side * 44.5, y - 1, 4)])
             for _, side in _SIDES if side * scene.a['yaw'] < 25]
    color = palette.hsv(style * 3.7, 0.5 * ((style * 5) % 1), 0.14 + 0.5 * ((style * 11) % 1) ** 2)
    return Glasses(lenses, rods, color, 1.2 + 0.9 * ((style * 13) % 1))


def contours(image: np.ndarray, labels: np.ndarray) -> None:
    """Draw lines on the image (S,S,3) in place where parts of the label map (S,S) meet."""
    edge = np.zeros_like(labels)
    for names in _CONTOURED_PARTS:
        part = np.isin(labels, [PARTS.index(name) for name in names]).astype(np.uint8)
        edge |= np.asarray(cv2.morphologyEx(part, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8)))
    width = max(1, round(len(labels) / 160))
    edge = np.asarray(cv2.dilate(edge, np.ones((width, width), np.uint8)))
    image[edge > 0] = _LINE_RGB
