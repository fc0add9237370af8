"""SCRFD detector."""
import zipfile
from pathlib import Path

import numpy as np
import torch

from models import weights
from models.perception.detection.detector import Detector
from models.perception.detection.face import Face
from models.runtime.sessions import providers


class SCRFD(Detector):
    """SCRFD (Guo et al. 2021, arXiv:2105.04714), the network of insightface's model pack buffalo_l on onnxruntime."""

    certain_score, rotated_score = 0.7, 0.6  # clear faces score up to 0.9

    def __init__(self, device: str | torch.device = 'cpu'):
        path = weights.path('buffalo_l')
        import onnxruntime
        from insightface.model_zoo.scrfd import SCRFD as Network

        try:
            with zipfile.ZipFile(path) as pack:
                member = next(name for name in pack.namelist() if Path(name).name == 'det_10g.onnx')
                session = onnxruntime.InferenceSession(pack.read(member), providers=providers(device))
        except (zipfile.BadZipFile, StopIteration) as error:
            raise ValueError(f'{path} is no model pack that contains det_10g.onnx; delete it and fetch it again') from error
        self.network = Network(session=session)
        self.network.prepare(0, input_size=(640, 640), det_thresh=0.5)

    def find(self, image: np.ndarray) -> list[Face]:
        boxes, points = self.network.detect(np.ascontiguousarray(image[..., ::-1]))
        return [Face(box[:4], landmarks, box[4]) for box, landmarks in zip(boxes, points)]
