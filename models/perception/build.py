"""Frozen perception networks of a run, by name or by file."""
from dataclasses import replace

from models import weights
from models.base import Perception
from models.perception.encoder_files import load_encoder
from models.perception.encoders.embedder import Embedder
from models.perception.landmarks.five_point import FiveLandmarks
from models.perception.published import (
    EMBEDDERS,
    PARSERS,
    PHOTO_PARSER,
    VGGS,
    file_of,
    fingerprint,
    load_parser,
    load_published_embedder,
    load_vgg,
)
from models.registry import load_family

__all__ = ['EMBEDDERS', 'PARSERS', 'PHOTO_PARSER', 'VGGS', 'build_perception', 'file_of', 'fingerprint', 'load_embedder',
           'load_parser', 'load_vgg']


def load_embedder(name: str) -> Embedder:
    """Load an identity encoder: a name of EMBEDDERS, or an encoder.safetensors of a training run.

    Raises ValueError for an unknown name or an invalid file, weights.MissingWeights if the weights are not in the cache.
    """
    return load_encoder(name)[0] if name.endswith('.safetensors') else load_published_embedder(name)


def build_perception(id_encoder: str = 'identity-mobilefacenet', teacher: str | None = None, parser: str | None = 'parsing-unet',
                     vgg: str | None = None, landmarks: bool = False, distillation_teacher: str | None = None,
                     reverser: str | None = None) -> Perception:
    """Build the frozen networks of a run.

    Args:
        id_encoder: embedder that conditions the generator (load_embedder).
        teacher: embedder of the identity loss, None for the id_encoder.
        parser: a name of PARSERS, None for none.
        vgg: a name of VGGS, None for none.
        landmarks: whether the landmark network is built.
        distillation_teacher, reverser: trained swappers, by file or by a name of models.weights; None for none.
    """
    encoder = load_embedder(id_encoder)
    perception = Perception(encoder, encoder if teacher in (None, id_encoder) else load_embedder(teacher),
                            load_parser(parser) if parser else None, load_vgg(vgg) if vgg else None,
                            FiveLandmarks() if landmarks else None)
    swappers = {name: load_family(weights.locate(name), replace(perception), task='swap')
                for name in {distillation_teacher, reverser} if name is not None}
    perception.distillation_teacher = swappers[distillation_teacher] if distillation_teacher else None
    perception.reverser = swappers[reverser] if reverser else None
    return perception
