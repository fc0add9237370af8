"""Detectors by name."""
import torch

from models.perception.detection.detector import Detector
from models.perception.detection.mtcnn import MTCNN
from models.perception.detection.retinaface import RetinaFace
from models.perception.detection.scrfd import SCRFD

DETECTORS = ('mtcnn', 'scrfd', 'retinaface', 'retinaface-mobile025')


def build_detector(name: str = 'mtcnn', device: str | torch.device = 'cpu') -> Detector:
    """Build one of DETECTORS; nothing is downloaded. Raises ValueError for an unknown name, models.weights.MissingWeights if its
    weights are not in the cache. The weights of mtcnn are part of a package."""
    if name == 'mtcnn':
        return MTCNN(device)
    if name == 'scrfd':
        return SCRFD(device)
    if name == 'retinaface':
        return RetinaFace('resnet50', device)
    if name == 'retinaface-mobile025':
        return RetinaFace('mobile0.25', device)
    raise ValueError(f'unknown detector {name!r}; known: {", ".join(DETECTORS)}')
