"""MTCNN detector."""
import cv2
import numpy as np
import torch
from einops import rearrange

from models.perception.detection.detector import Detector, Region
from models.perception.detection.face import Face, is_plausible, mapped
from models.perception.detection.mtcnn_networks import ONet, PNet, RNet, detect, mtcnn_network

MIN_SCORE = 0.9  # of the last network
MIN_FOLLOWED_SCORE = 0.6  # of the last network for a face of the previous frame
MAX_FOLLOWED_ROLL_DEG = 30.0  # degrees of in-plane rotation up to which the crop of such a face is not derotated


class MTCNN(Detector):
    """MTCNN (Zhang et al. 2016, arXiv:1604.02878) with the networks and weights of the package facenet-pytorch.

    min_face_px: side in pixels of the smallest detected face.
    """

    def __init__(self, device: str | torch.device = 'cpu', min_face_px: int = 20):
        self.device, self.min_face_px = torch.device(device), min_face_px
        self.networks = [mtcnn_network(kind).to(self.device) for kind in (PNet, RNet, ONet)]

    def find(self, image: np.ndarray) -> list[Face]:
        boxes, points = detect(image, self.networks, (0.6, 0.7, MIN_SCORE), self.min_face_px, self.device)
        return [Face(box[:4], landmarks, box[4]) for box, landmarks in zip(boxes, points)]

    @torch.no_grad()
    def follow(self, image: np.ndarray, faces: list[Face]) -> list[Face | None]:
        """As Detector.follow, with ONet alone, which refines the previous box at a fiftieth of the cost. The crop of a face whose
        in-plane rotation exceeds MAX_FOLLOWED_ROLL_DEG is derotated first."""
        if not faces:
            return []
        squares = np.stack([_square(face.box) for face in faces])  # (N,4)
        sides, starts = squares[:, 2:] - squares[:, :2] + 1, squares[:, :2] - 1  # as in mtcnn_networks.detect
        crops, inverses = [], []
        for face, square, side, start in zip(faces, squares, sides, starts):
            upright = abs(face.roll) <= MAX_FOLLOWED_ROLL_DEG
            center = start + (side - 1) / 2
            crops.append(_cut(image, square, 48) if upright else Region(image, center, side[0], 48).derotated(face.roll)[0])
            inverses.append(None if upright else cv2.getRotationMatrix2D(center.tolist(), -face.roll, 1.0))
        pixels = (torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() - 127.5) / 128  # (N,3,48,48)
        shifts, points, scores = (out.cpu().numpy() for out in self.networks[2](pixels.to(self.device)))
        boxes = squares + shifts * np.tile(sides, 2)
        points = rearrange(points, 'n (xy point) -> n point xy', xy=2) * sides[:, None] + starts[:, None]
        height, width = image.shape[:2]
        followed = []
        for box, landmarks, score, inverse in zip(boxes, points, scores[:, 1], inverses):
            face = Face(box.astype(np.float32), landmarks.astype(np.float32), float(score))
            face = face if inverse is None else mapped(face, inverse)
            x, y = face.points.mean(0)
            is_tracked = score >= MIN_FOLLOWED_SCORE and 0 <= x < width and 0 <= y < height and is_plausible(face)
            followed.append(face if is_tracked else None)
        return followed


def _square(box: np.ndarray) -> np.ndarray:
    """Box (4,) -> the square (4,) around its center with its longer side."""
    side, center = max(2.0, float((box[2:] - box[:2]).max())), (box[:2] + box[2:]) / 2
    return np.concatenate([center - side / 2, center + side / 2])


def _cut(image: np.ndarray, square: np.ndarray, side: int) -> np.ndarray:
    """Crop a square (pixels counted from 1, end included) and resize it to `side` pixels; gray outside the image."""
    height, width = image.shape[:2]
    x0, y0, x1, y1 = (square.astype(int) - [1, 1, 0, 0]).tolist()
    part = image[max(y0, 0):max(y1, 0), max(x0, 0):max(x1, 0)]
    if part.size == 0:
        return np.full((side, side, 3), 127, np.uint8)
    part = cv2.copyMakeBorder(part, max(-y0, 0), max(y1 - height, 0), max(-x0, 0), max(x1 - width, 0), cv2.BORDER_CONSTANT,
                              value=(127, 127, 127))
    return cv2.resize(part, (side, side), interpolation=cv2.INTER_AREA)
