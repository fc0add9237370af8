"""Face detectors behind one interface: an image in, boxes and five landmarks in the image's own pixels out."""
import warnings
import zipfile
from pathlib import Path

import cv2
import numpy as np
import torch

from models import weights
from models.perception import mtcnn
from models.perception.face import Face, is_plausible, mapped
from models.perception.face_detector import Detector, Region
from models.perception.mtcnn import mtcnn_network
from models.runtime.sessions import providers

SCORE = 0.9  # least confidence of MTCNN and RetinaFace
KEPT_SCORE = 0.6  # least confidence of MTCNN's last network in a face that is followed
MAX_FOLLOWED_ROLL = 30.0  # degrees of in-plane rotation up to which it is not derotated for that network


class MTCNN(Detector):
    """Zhang et al. 2016 (arXiv:1604.02878), the networks and weights that facenet-pytorch carries in its package.

    least: side in pixels of the smallest face looked for.
    """

    def __init__(self, device: str | torch.device = 'cpu', least: int = 20):
        self.device, self.least = torch.device(device), least
        self.networks = [mtcnn_network(network).to(self.device) for network in (mtcnn.PNet, mtcnn.RNet, mtcnn.ONet)]

    def find(self, image: np.ndarray) -> list[Face]:
        boxes, points = mtcnn.detect(image, self.networks, (0.6, 0.7, SCORE), self.least, self.device)
        return [Face(box[:4], five, box[4]) for box, five in zip(boxes, points)]

    @torch.no_grad()
    def follow(self, image: np.ndarray, faces: list[Face]) -> list[Face | None]:
        """As Detector.follow, but by the last network alone, which corrects the old box: a fiftieth of the work. The crop of a
        face whose in-plane rotation exceeds MAX_FOLLOWED_ROLL is derotated by it first."""
        if not faces:
            return []
        squares = np.stack([_square(face.box) for face in faces])  # (N,4)
        sides, starts = squares[:, 2:] - squares[:, :2] + 1, squares[:, :2] - 1  # as in mtcnn.detect
        crops, backs = [], []
        for face, square, side, start in zip(faces, squares, sides, starts):
            upright = abs(face.roll) <= MAX_FOLLOWED_ROLL
            center = start + (side - 1) / 2
            crops.append(_cut(image, square, 48) if upright else Region(image, center, side[0], 48).derotated(face.roll)[0])
            backs.append(None if upright else cv2.getRotationMatrix2D(center.tolist(), -face.roll, 1.0))
        crops = (torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() - 127.5) / 128
        shifts, points, scores = (out.cpu().numpy() for out in self.networks[2](crops.to(self.device)))
        boxes = squares + shifts * np.tile(sides, 2)
        points = points.reshape(-1, 2, 5).transpose(0, 2, 1) * sides[:, None] + starts[:, None]
        height, width = image.shape[:2]
        followed = []
        for box, five, score, back in zip(boxes, points, scores[:, 1], backs):
            face = Face(box.astype(np.float32), five.astype(np.float32), float(score))
            face = face if back is None else mapped(face, back)
            x, y = face.points.mean(0)
            there = score >= KEPT_SCORE and 0 <= x < width and 0 <= y < height and is_plausible(face)
            followed.append(face if there else None)
        return followed


def _square(box: np.ndarray) -> np.ndarray:
    """(4,) -> the square around its center with its longer side."""
    side, center = max(2.0, float((box[2:] - box[:2]).max())), (box[:2] + box[2:]) / 2
    return np.concatenate([center - side / 2, center + side / 2])


def _cut(image: np.ndarray, square: np.ndarray, side: int) -> np.ndarray:
    """The square, counted from 1 and with its end, out of the image, gray beyond its border, in `side` pixels."""
    height, width = image.shape[:2]
    x0, y0, x1, y1 = (square.astype(int) - [1, 1, 0, 0]).tolist()
    part = image[max(y0, 0):max(y1, 0), max(x0, 0):max(x1, 0)]
    if part.size == 0:
        return np.full((side, side, 3), 127, np.uint8)
    part = cv2.copyMakeBorder(part, max(-y0, 0), max(y1 - height, 0), max(-x0, 0), max(x1 - width, 0), cv2.BORDER_CONSTANT,
                              value=(127, 127, 127))
    return cv2.resize(part, (side, side), interpolation=cv2.INTER_AREA)


class SCRFD(Detector):
    """Guo et al. 2021 (arXiv:2105.04714): insightface's detector, on onnxruntime, out of its model pack buffalo_l."""

    certain, rotated_score = 0.7, 0.6  # its scores of clear faces lie between these and 0.9

    def __init__(self, device: str | torch.device = 'cpu'):
        path = weights.path('buffalo_l')
        import onnxruntime
        from insightface.model_zoo.scrfd import SCRFD as Network

        try:
            with zipfile.ZipFile(path) as pack:
                member = next(name for name in pack.namelist() if Path(name).name == 'det_10g.onnx')
                session = onnxruntime.InferenceSession(pack.read(member), providers=providers(device))
        except (zipfile.BadZipFile, StopIteration) as error:
            raise ValueError(f'{path} is no model pack with det_10g.onnx in it; delete it and fetch it again') from error
        self.network = Network(session=session)
        self.network.prepare(0, input_size=(640, 640), det_thresh=0.5)

    def find(self, image: np.ndarray) -> list[Face]:
        boxes, points = self.network.detect(np.ascontiguousarray(image[..., ::-1]))
        return [Face(box[:4], five, box[4]) for box, five in zip(boxes, points)]


class RetinaFace(Detector):
    """Deng et al. 2020 (arXiv:1905.00641): facexlib's network with the weights published for it. kind: resnet50 | mobile0.25."""

    def __init__(self, kind: str = 'resnet50', device: str | torch.device = 'cpu'):
        path = weights.path(f'retinaface-facexlib-{kind.replace(".", "")}')
        from facexlib.detection.retinaface import RetinaFace as Network

        state = torch.load(path, map_location='cpu', weights_only=True)
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # torchvision's, about how facexlib asks for an untrained ResNet
            self.network = Network(kind, device=torch.device(device))
        self.network.load_state_dict({name.removeprefix('module.'): value for name, value in state.items()})
        self.network.eval().requires_grad_(False)

    @torch.no_grad()
    def find(self, image: np.ndarray) -> list[Face]:
        rows = self.network.detect_faces(np.ascontiguousarray(image[..., ::-1]), conf_threshold=SCORE)
        return [Face(row[:4], row[5:].reshape(5, 2), row[4]) for row in rows]


DETECTORS = ('mtcnn', 'scrfd', 'retinaface', 'retinaface-mobile025')


def build_detector(name: str = 'mtcnn', device: str | torch.device = 'cpu') -> Detector:
    """A detector by name, nothing fetched. ValueError where the name is unknown, models.weights.MissingWeights where its
    weights are not on this machine; mtcnn always has its own."""
    if name == 'mtcnn':
        return MTCNN(device)
    if name == 'scrfd':
        return SCRFD(device)
    if name == 'retinaface':
        return RetinaFace('resnet50', device)
    if name == 'retinaface-mobile025':
        return RetinaFace('mobile0.25', device)
    raise ValueError(f'unknown detector {name!r}; known: {", ".join(DETECTORS)}')
