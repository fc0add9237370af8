"""Face detection: boxes and five landmarks of the faces in an image, in pixels.

`Face` is a detection, `Detector` the interface and the search at any in-plane rotation, `MTCNN`, `SCRFD` and `RetinaFace` the
detectors, `build_detector` one of `DETECTORS` by name.
"""
from models.perception.detection.build import DETECTORS, build_detector
from models.perception.detection.detector import Detector
from models.perception.detection.face import Face
from models.perception.detection.mtcnn import MTCNN
from models.perception.detection.retinaface import RetinaFace
from models.perception.detection.scrfd import SCRFD

__all__ = ['DETECTORS', 'MTCNN', 'SCRFD', 'Detector', 'Face', 'RetinaFace', 'build_detector']
