"""Rendering of a face from its parameters to an image with label map and landmarks.

Outlines are rasterized at twice the size of the image and downsampled; the label map is rasterized from the same polygons in the
same order, without antialiasing. Drawings are shaded at twice the size as well.
"""
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike

from datasets.synthetic import layers, palette, shading
from datasets.synthetic.canvas import UNITS, Canvas, blend, blur, downsample_masks, repeat_channels, solid
from datasets.synthetic.hair import Hair
from datasets.synthetic.outlines import OUTLINES, five_points
from datasets.synthetic.parameters import ATTRIBUTES, IDENTITY, exaggerate, named
from datasets.synthetic.scene import Scene
from models.batch import PARTS

SIZES = (32, 256)  # smallest and largest side of an image in pixels
DOMAINS = ('photo', 'drawing')


@dataclass(frozen=True)
class Rendering:
    """image uint8 (size,size,3) RGB; parsing uint8 (size,size), ids of models.batch.PARTS; landmarks float32 (68,2) in the order
    of iBUG and points float32 (5,2), both in pixels with the center of the first pixel at 0."""

    image: np.ndarray
    parsing: np.ndarray
    landmarks: np.ndarray
    points: np.ndarray


def render(identity: ArrayLike, attributes: ArrayLike, size: int, *, domain: str = 'photo') -> Rendering:
    """Render a face.

    Args:
        identity: vector in the order of IDENTITY.
        attributes: vector in the order of ATTRIBUTES.
        size: side of the image in pixels, 32 to 256.
        domain: 'photo' or 'drawing'. A drawing has the same pose and expression, the shape of the face exaggerated away from the
            mean face, flat tones and contours.

    Raises ValueError for another size or domain, or a vector of another length or with values that are not finite.
    """
    if not SIZES[0] <= size <= SIZES[1]:
        raise ValueError(f'size must be {SIZES[0]} to {SIZES[1]} pixels, got {size}')
    if domain not in DOMAINS:
        raise ValueError(f'unknown domain {domain!r}; known: {", ".join(DOMAINS)}')
    is_drawing = domain == 'drawing'
    v = named(exaggerate(identity) if is_drawing else identity, IDENTITY)
    scene = Scene(v, named(attributes, ATTRIBUTES), is_drawing)
    image, labels = _render_layers(scene, Hair(v), size)
    landmarks = ((scene.landmarks + 0.5) * (size / UNITS) - 0.5).astype(np.float32)
    return Rendering(image, labels, landmarks, five_points(landmarks))


def _render_layers(scene: Scene, hair: Hair, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Image (size,size,3) and label map (size,size), both uint8."""
    side = 2 * size
    work = side if scene.is_drawing else size  # side of the shaded layers
    background = Canvas(palette.background(scene.a, side))
    image = layers.body(background, scene, hair, work)
    face = Canvas(solid(side, scene.skin))
    face.labels = background.labels
    ears = layers.ears(face, scene, hair)
    head, shell, ear = _coverage(face, scene, hair, ears, work)
    skin, labels = _flat_face(face, scene, hair, ears, work)
    z, st = shading.visible_surface(scene, 48 if size <= 64 else 96)
    light, specular = shading.lighting(scene, z, st)
    if len(z) != work:
        light, specular, s, t = [np.asarray(cv2.resize(grid, (work, work))) for grid in (light, specular, *st)]
        st = np.stack([s, t])
    cap = hair.cap_alpha(st[0], st[1], work / UNITS)
    if ears:
        head = np.maximum(head, ear)
        cap *= 1 - ear
    if scene.is_drawing:
        shading.shade_drawing(scene, skin, light)
    else:
        shading.shade_photo(scene, skin, light, specular, shading.skin_texture(scene, st, cap if hair.visible else None))
    if hair.visible:
        strands = hair.strands(work, scene)
        image = blend(image, strands, shell)
        cap *= np.maximum(head, shell)
        np.copyto(labels, PARTS.index('hair'), where=np.maximum(shell * (1 - head), cap) > 0.5)
        image = blend(blend(image, skin, head), strands, cap)
    else:
        image = blend(image, skin, head)
    if scene.a['glasses'] > 0:
        image = _add_glasses(image, labels, face, scene)
    if scene.is_drawing:
        layers.contours(image, labels)
    elif scene.a['blur'] > 0:
        image = blur(image, 0.02 + 0.015 * scene.a['blur'] * size)
    image = np.minimum(image, 255, out=image).astype(np.uint8)
    if scene.is_drawing:
        image, labels = np.asarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)), labels[1::2, 1::2].copy()
    return image, labels


def _coverage(face: Canvas, scene: Scene, hair: Hair, ears: dict[str, np.ndarray], work: int) -> np.ndarray:
    """(3,work,work) float32 alpha of the head, the shell of hair and the ears. Labels the head as skin."""
    shell = hair.shell(scene) if hair.visible else []
    masks = face.coverage([([face.to_fixed_point(outline)], 1) for outline in layers.silhouette(scene)],
                          [([face.to_fixed_point(outline)], 1) for outline in shell],
                          [([outline for outline, _ in ears.values()], 1)])
    np.copyto(face.labels, PARTS.index('skin'), where=masks[0] > 127)
    return downsample_masks(masks, work)


def _flat_face(face: Canvas, scene: Scene, hair: Hair, ears: dict[str, np.ndarray], work: int) -> tuple[np.ndarray, np.ndarray]:
    """Colors (work,work,3) float32 of the face before shading, and its label map (work,work)."""
    corners = face.to_fixed_point(scene.outlines)
    polygons = {name: [corners[part] for part in slices] for name, slices in OUTLINES.items()}
    layers.features(face, scene, hair, polygons)
    if ears:
        face.fill([ear for ear, _ in ears.values()], scene.skin * (0.98, 0.92, 0.90), *ears)
        face.fill([hollow for _, hollow in ears.values()], scene.skin * (0.76, 0.62, 0.58))
    return layers.soft_features(face, scene, hair, polygons, work), face.labels_at(work).copy()


def _add_glasses(image: np.ndarray, labels: np.ndarray, face: Canvas, scene: Scene) -> np.ndarray:
    """The image (S,S,3) float32 with glasses; labels them in the label map (S,S)."""
    work, glasses = len(image), layers.glasses(scene)
    lenses, rods = [[face.to_fixed_point(line) for line in lines] for lines in (glasses.lenses, glasses.rods)]
    frame = face.strokes(lenses, rods, glasses.width)
    lens = face.coverage([([outline], 1) for outline in lenses])[0]
    frame, lens = downsample_masks(np.array([frame, lens]), work)
    image += repeat_channels(lens * np.float32(0.07 * 255 * scene.exposure))
    image = blend(image, solid(work, glasses.color * scene.exposure, np.float32), frame)
    np.copyto(labels, PARTS.index('eye_g'), where=(lens > 0.5) | (frame > 0.5))
    return image
