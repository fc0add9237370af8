"""Images of data sets with their annotations as overlays."""
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from datasets.synthetic.mean_face import MEAN_POINTS
from datasets.transforms.joint import face_frame, matrix_into
from models import geometry
from models.geometry import Template
from models.images import to_tensor
from models.perception.parsers.parser import FaceParser, face_mask, face_probability
from models.pose import Pose, fit_pose

OVERLAYS = LANDMARKS, FACE_MASK, HEAD_POSE = 'landmarks', 'face mask', 'head pose'
_MIN_SIDE_PX, _MAX_SIDE_PX = 320, 640  # smaller images are enlarged to the first, larger ones reduced to the second
_PARSER_SIDE_PX = 256
_AXIS_LENGTH_PX = 45  # of the head's axes, in the template `face`
_POINT_COLOR, _POINT_BORDER, _MASK_COLOR = (255, 214, 10), (20, 20, 20), (46, 204, 113)
_AXIS_COLORS = (230, 57, 70), (46, 147, 60), (29, 108, 232)


@dataclass(frozen=True)
class View:
    """An image (H,W,3) uint8 RGB of a data set with its annotations, None where unknown.

    landmarks: (N,2) in pixels. points: the five landmarks (5,2) in pixels. labels: (H,W) ids of PARTS. frame: as in
    datasets.faces.Face. removal_reason: why the filter of the caricature study removes the image, '' if it keeps it, None if it
    does not apply.
    """

    name: str
    image: np.ndarray
    landmarks: np.ndarray | None = None
    points: np.ndarray | None = None
    labels: np.ndarray | None = None
    frame: Template | None = None
    removal_reason: str | None = None

    @property
    def pose(self) -> Pose | None:
        """Head pose of the mean face (B=1), None without the five landmarks."""
        if self.points is None:
            return None
        return fit_pose(torch.from_numpy(np.asarray(self.points, np.float32))[None], MEAN_POINTS)

    @property
    def angles(self) -> np.ndarray | None:
        """(3,) yaw, pitch and roll in degrees, None without the five landmarks."""
        pose = self.pose
        return None if pose is None else pose.angles[0].numpy()


def render_view(view: View, overlays: tuple[str, ...] = (), parser: FaceParser | None = None) -> np.ndarray:
    """The image (H,W,3) uint8, scaled for display, with some of OVERLAYS. parser: segments faces without a label map; without it
    these have no mask."""
    height, width = view.image.shape[:2]
    scale = _MAX_SIDE_PX / max(height, width)
    if max(height, width) < _MAX_SIDE_PX:
        scale = max(_MIN_SIDE_PX / min(height, width), 1.0)
    canvas = cv2.resize(view.image, (round(width * scale), round(height * scale)),
                        interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)

    def scaled(points: np.ndarray) -> list[list[int]]:
        return ((np.asarray(points) + 0.5) * scale - 0.5).round().astype(int).tolist()

    if FACE_MASK in overlays and (mask := _face_mask(view, parser)) is not None:
        is_face = cv2.resize(mask, canvas.shape[1::-1], interpolation=cv2.INTER_LINEAR) > 0.5
        canvas[is_face] = (0.6 * canvas[is_face] + 0.4 * np.array(_MASK_COLOR)).astype(np.uint8)
        outlines, _ = cv2.findContours(is_face.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(canvas, outlines, -1, _MASK_COLOR, 2, cv2.LINE_AA)
    if LANDMARKS in overlays and view.landmarks is not None:
        for point in scaled(view.landmarks[~np.isnan(view.landmarks).any(1)]):
            cv2.circle(canvas, point, 4, _POINT_BORDER, cv2.FILLED, cv2.LINE_AA)
            cv2.circle(canvas, point, 3, _POINT_COLOR, cv2.FILLED, cv2.LINE_AA)
    if HEAD_POSE in overlays and (pose := view.pose) is not None:
        ends = torch.cat([MEAN_POINTS[2:3], MEAN_POINTS[2:3] + _AXIS_LENGTH_PX * torch.eye(3)])  # (4,3): nose tip, axis ends
        nose, *tips = scaled((pose.shift[0] + pose.scale[0] * (ends @ pose.rotation[0, :2].T)).numpy())
        for tip, color in zip(tips, _AXIS_COLORS):
            cv2.arrowedLine(canvas, nose, tip, color, 3, cv2.LINE_AA, tipLength=0.2)
    return canvas


def _face_mask(view: View, parser: FaceParser | None) -> np.ndarray | None:
    """(H,W) float32 in [0,1], None without label map and parser."""
    if view.labels is not None:
        return face_mask(torch.from_numpy(view.labels)[None].long())[0, 0].numpy()
    if parser is None:
        return None
    size = view.image.shape[0], view.image.shape[1]
    matrix = matrix_into(face_frame(_PARSER_SIDE_PX), size, view.points, view.frame)
    with torch.no_grad():
        crop = geometry.warp(to_tensor(view.image)[None], matrix, (_PARSER_SIDE_PX, _PARSER_SIDE_PX))
        face: Tensor = face_probability(parser(crop))
        return geometry.warp(face, geometry.invert(matrix), size, padding='zeros')[0, 0].numpy()
