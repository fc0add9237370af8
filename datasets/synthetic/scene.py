"""A head in front of an orthographic camera with one directional light, independent of the resolution of the image."""
import math

import numpy as np
from numpy.typing import ArrayLike

from datasets.synthetic import outlines, palette
from datasets.synthetic.head import EYE_LINE, Head, rotation
from datasets.synthetic.outlines import LANDMARKS, five_points
from datasets.synthetic.parameters import ATTRIBUTES, IDENTITY, Parameters
from models.geometry import template

_EYES_IN_IMAGE = np.array(template('face').points, np.float32)[:2].mean(0)  # midpoint of the eyes in units
_CENTER = _EYES_IN_IMAGE - (0, EYE_LINE)  # center of the mean head in units of the image


def _outline_points(head: Head, v: Parameters, a: Parameters) -> np.ndarray:
    """(N,3) points of the outlines of the face in the frame of the head; outlines.OUTLINES has their slices."""
    points = head.lift(outlines.feature_points(v, a, head.layout, head.jaw_drop))
    return outlines.outline_points(points, head.project(outlines.jaw_line(head.layout, head.jaw_drop)))


def _mean_center() -> np.ndarray:
    """(3,): mean of the five landmarks of the mean face, in the frame of the head."""
    v, a = dict.fromkeys(IDENTITY, 0.0), dict.fromkeys(ATTRIBUTES, 0.0)
    return five_points(_outline_points(Head(v, a), v, a)[LANDMARKS]).mean(0)


_PIVOT = _mean_center()  # (3,) in the frame of the head; the point whose position in the image does not depend on the pose


class Scene:
    """One identity with one set of attributes.

    Args:
        v, a: `named` identity and attributes.
        is_drawing: whether the image is a drawing.

    Attributes:
        turn: (3,3) rotation from the frame of the head to that of the viewer.
        center: (2,) center of the head in units of the image.
        head: surface of the head.
        skin: color of the skin, RGB in 0..255.
        rim, rim_st, rim_projected: points (N,3) near the silhouette of the head, their surface coordinates (2,1,N) and their
            projections (N,2).
        outlines: (M,2) projected points of the outlines of the face; outlines.OUTLINES has their slices.
        landmarks: (68,2) in units of the image.
        light: unit vector to the light in the frame of the viewer.
        exposure: factor on all colors.
    """

    def __init__(self, v: Parameters, a: Parameters, is_drawing: bool):
        self.v, self.a, self.is_drawing = v, a, is_drawing
        self.turn = rotation(a['yaw'], a['pitch'], a['roll'])
        self._projection = np.ascontiguousarray(self.turn.T[:, :2])
        self.center = (_CENTER + (_PIVOT - self.turn @ _PIVOT)[:2]).astype(np.float32)
        self.head, self.skin = Head(v, a), palette.skin(v)
        self.rim, self.rim_st = self.head.rim(self.turn)
        self.rim_projected = self.project(self.rim)
        self.outlines = self.project(_outline_points(self.head, v, a))
        self.landmarks = self.outlines[LANDMARKS]
        azimuth, elevation = math.radians(a['light_azimuth']), math.radians(a['light_elevation'])
        horizontal = math.cos(elevation)
        self.light = math.sin(azimuth) * horizontal, -math.sin(elevation), math.cos(azimuth) * horizontal
        self.exposure = 2 ** (0.40 * a['exposure'])

    def project(self, points: ArrayLike) -> np.ndarray:
        """(...,3) in the frame of the head -> (...,2) float32 in units of the image."""
        return np.asarray(points, np.float32) @ self._projection + self.center
