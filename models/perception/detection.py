"""Face detectors behind one interface: an image in, boxes and five landmarks in the image's own pixels out."""
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from models import weights
from models.runtime.sessions import providers

LONGEST = 1280  # pixels; a larger image is reduced to this for detection
MARGIN = 24  # pixels of gray around the image, so that faces cut by its border stay inside what a detector sees
SCORE = 0.9  # least confidence of MTCNN and RetinaFace
KEPT_SCORE = 0.6  # least confidence of MTCNN's last network in a face that is followed
OVERLAP = 0.3  # intersection over union from which on two boxes may show the same face


@dataclass(frozen=True)
class Face:
    """A detected face: box (4,) x0, y0, x1, y1 and points (5,2) in the order of models.geometry, float32 pixels of the
    image; score in [0,1]."""

    box: np.ndarray
    points: np.ndarray
    score: float

    @property
    def area(self) -> float:
        return float(np.prod(np.maximum(self.box[2:] - self.box[:2], 0)))


def overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (N,4) with boxes (M,4) -> (N,M)."""
    first, second = first.reshape(-1, 1, 4), second.reshape(1, -1, 4)
    sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    common = np.maximum(sides, 0).prod(-1)
    areas = [np.maximum(box[..., 2:] - box[..., :2], 0).prod(-1) for box in (first, second)]
    return common / np.maximum(sum(areas) - common, 1e-6)


def paired(id_similarity: np.ndarray, least: float) -> list[tuple[int, int]]:
    """(row, column) of a table (N,M), the largest first, no row and no column twice, none below `least`."""
    id_similarity, found = id_similarity.astype(np.float64), []
    while id_similarity.size and id_similarity.max() >= least:
        row, column = np.unravel_index(id_similarity.argmax(), id_similarity.shape)
        id_similarity[row], id_similarity[:, column] = -np.inf, -np.inf
        found.append((int(row), int(column)))
    return found


class Detector:
    """Reduces the image, asks `find`, maps the answer back and sorts by size. A detector writes `find`."""

    def find(self, image: np.ndarray) -> list[Face]:
        """(H,W,3) uint8 RGB of at most LONGEST + 2 * MARGIN pixels -> faces in its pixels, in any order."""
        raise TypeError(f'{type(self).__name__} finds no faces')

    def detect(self, image: np.ndarray) -> list[Face]:
        """(H,W,3) uint8 RGB of any size -> the faces, largest first. ValueError where the array is no such image."""
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f'a detector wants an RGB image (H,W,3) in uint8, not {image.shape} in {image.dtype}')
        height, width = image.shape[:2]
        scale = min(1.0, LONGEST / max(height, width))
        small = max(1, round(width * scale)), max(1, round(height * scale))
        reduced = cv2.resize(image, small, interpolation=cv2.INTER_AREA) if scale < 1 else image
        reduced = cv2.copyMakeBorder(reduced, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_CONSTANT, value=(127, 127, 127))
        ratio = np.array([width / small[0], height / small[1]], np.float32)

        def original(points):
            return ((np.asarray(points, np.float32).reshape(-1, 2) - MARGIN + 0.5) * ratio - 0.5).astype(np.float32)

        faces = [Face(original(f.box).reshape(4), original(f.points), float(f.score)) for f in self.find(reduced)]
        return sorted(faces, key=lambda face: -face.area)

    def follow(self, image: np.ndarray, faces: list[Face]) -> list[Face | None]:
        """The faces of the frame before in this one, (H,W,3) uint8 RGB of a video; None for those that are not seen any more."""
        if not faces:
            return []
        found, answer = self.detect(image), [None] * len(faces)
        boxes = [np.array([face.box for face in some]).reshape(-1, 4) for some in (faces, found)]
        for before, now in paired(overlaps(*boxes), OVERLAP):
            answer[before] = found[now]
        return answer


def mtcnn_network(name: str) -> nn.Module:
    """One of MTCNN's three networks, PNet, RNet or ONet, with the weights that facenet-pytorch carries in its package, frozen."""
    import facenet_pytorch
    from facenet_pytorch.models import mtcnn

    network = getattr(mtcnn, name)(pretrained=False)
    file = Path(facenet_pytorch.__file__).parent / 'data' / f'{name.lower()}.pt'
    network.load_state_dict(torch.load(file, map_location='cpu', weights_only=True))
    return network.eval().requires_grad_(False)


class MTCNN(Detector):
    """Zhang et al. 2016 (arXiv:1604.02878), the networks and weights that facenet-pytorch carries in its package.

    least: side in pixels of the smallest face looked for.
    """

    def __init__(self, device: str | torch.device = 'cpu', least: int = 20):
        self.device, self.least = torch.device(device), least
        self.networks = [mtcnn_network(name).to(self.device) for name in ('PNet', 'RNet', 'ONet')]

    @torch.no_grad()
    def find(self, image: np.ndarray) -> list[Face]:
        from facenet_pytorch.models.utils.detect_face import detect_face

        boxes, points = detect_face(image, self.least, *self.networks, [0.6, 0.7, SCORE], 0.709, self.device)
        return [Face(box[:4], five, box[4]) for box, five in zip(boxes[0], points[0])]

    @torch.no_grad()
    def follow(self, image: np.ndarray, faces: list[Face]) -> list[Face | None]:
        """As Detector.follow, but by the last network alone, which corrects the old box: a fiftieth of the work."""
        if not faces:
            return []
        squares = np.stack([_square(face.box) for face in faces])  # (N,4)
        crops = np.stack([_cut(image, square, 48) for square in squares])
        crops = (torch.from_numpy(crops).permute(0, 3, 1, 2).float() - 127.5) / 128
        shifts, points, scores = (out.cpu().numpy() for out in self.networks[2](crops.to(self.device)))
        sides, starts = squares[:, 2:] - squares[:, :2] + 1, squares[:, :2] - 1  # as in detect_face
        boxes = squares + shifts * np.tile(sides, 2)
        points = points.reshape(-1, 2, 5).transpose(0, 2, 1) * sides[:, None] + starts[:, None]
        height, width = image.shape[:2]
        inside = [0 <= x < width and 0 <= y < height for x, y in points.mean(1)]
        return [Face(box.astype(np.float32), five.astype(np.float32), float(score)) if score >= KEPT_SCORE and there else None
                for box, five, score, there in zip(boxes, points, scores[:, 1], inside)]


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
