"""RetinaFace detector."""
import warnings

import numpy as np
import torch

from models import weights
from models.perception.detection.detector import Detector
from models.perception.detection.face import Face

MIN_SCORE = 0.9  # of a detection


class RetinaFace(Detector):
    """RetinaFace (Deng et al. 2020, arXiv:1905.00641), network and weights of facexlib. kind: 'resnet50' or 'mobile0.25'."""

    def __init__(self, kind: str = 'resnet50', device: str | torch.device = 'cpu'):
        path = weights.path(f'retinaface-facexlib-{kind.replace(".", "")}')
        from facexlib.detection.retinaface import RetinaFace as Network

        state = torch.load(path, map_location='cpu', weights_only=True)
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # torchvision warns of the arguments that facexlib uses
            self.network = Network(kind, device=torch.device(device))
        self.network.load_state_dict({name.removeprefix('module.'): value for name, value in state.items()})
        self.network.eval().requires_grad_(False)

    @torch.no_grad()
    def find(self, image: np.ndarray) -> list[Face]:
        rows = self.network.detect_faces(np.ascontiguousarray(image[..., ::-1]), conf_threshold=MIN_SCORE)
        return [Face(row[:4], row[5:].reshape(5, 2), row[4]) for row in rows]
