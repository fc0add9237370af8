"""Perception networks by name, with their weights and with how each wants to be fed."""
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from torch import Tensor, nn

from models import weights
from models.base import Perception
from models.batch import PARTS
from models.convert import read_state
from models.perception.encoders.embedder import Embedder
from models.perception.features.vgg import VGGFeatures
from models.perception.landmarks.five_point import FiveLandmarks
from models.perception.parsers.parser import FaceParser, ParsingUNet
from models.registry import load_family

# The classes of the published BiSeNet (face-parsing.PyTorch), index = its class id, by their names in CelebAMask-HQ.
_BISENET_CLASSES = ('background', 'skin', 'l_brow', 'r_brow', 'l_eye', 'r_eye', 'eye_g', 'l_ear', 'r_ear', 'ear_r', 'nose',
                    'mouth', 'u_lip', 'l_lip', 'neck', 'neck_l', 'cloth', 'hair', 'hat')
# The classes of the published small U-Net, likewise.
_SMALL_UNET_CLASSES = ('background', 'u_lip', 'l_brow', 'skin', 'r_ear', 'r_eye', 'nose', 'neck_l', 'l_ear', 'eye_g', 'l_lip',
                       'r_brow', 'hat', 'hair', 'mouth', 'neck', 'cloth', 'l_eye', 'ear_r')
_OTHER_SIDE = {f'{a}_{part}': f'{b}_{part}' for a, b in ('lr', 'rl') for part in ('eye', 'brow', 'ear')}


def _order(classes: tuple[str, ...]) -> tuple[int, ...]:
    """For each of PARTS the class of a network that learned from CelebAMask-HQ, whose l_ means the person's left."""
    return tuple(classes.index(_OTHER_SIDE.get(name, name)) for name in PARTS)


def _mobilefacenet(height: int, width: int) -> nn.Module:
    from models.perception.encoders.mobilefacenet import MobileFaceNet
    return MobileFaceNet(height=height, width=width)


def _iresnet(layers: int) -> nn.Module:
    from models.perception.encoders.iresnet import IResNet
    return IResNet(layers)


def _sphereface() -> nn.Module:
    from models.perception.encoders.sphereface import SphereFace20
    return SphereFace20()


def _bisenet() -> nn.Module:
    from models.perception.parsers.bisenet import BiSeNet
    return BiSeNet()


def _small_unet() -> nn.Module:
    from models.perception.parsers.small_unet import SmallUNet
    return SmallUNet()


# name in models.weights -> network, and how it is fed
EMBEDDERS: dict[str, tuple[Callable[[], nn.Module], dict]] = {
    'identity-mobilefacenet': (lambda: _mobilefacenet(112, 112), {'template': 'arcface', 'mirrored': True}),
    'identity-caricature': (lambda: _mobilefacenet(112, 112), {'template': 'arcface', 'mirrored': True}),
    'mobilefacenet-068': (lambda: _mobilefacenet(112, 96), {'template': 'sphereface', 'scale': 127.5 / 128}),
    **{f'arcface-{data}-r{depth}': (partial(_iresnet, depth), {'template': 'arcface'})
       for data in ('ms1mv3', 'glint360k') for depth in (18, 34, 50, 100)},
    'sphere20a': (_sphereface, {'template': 'sphereface', 'scale': 127.5 / 128, 'bgr': True}),
}
PARSERS: dict[str, tuple[Callable[[], nn.Module], dict]] = {
    'parsing-unet': (ParsingUNet, {}),
    'parsing-unet-occlusion': (ParsingUNet, {}),
    'parsing-unet-small': (_small_unet, {'template': 'celebahq', 'size': 256, 'order': _order(_SMALL_UNET_CLASSES)}),
    'bisenet': (_bisenet, {'template': 'ffhq', 'size': 512, 'imagenet': True, 'order': _order(_BISENET_CLASSES)}),
}
PHOTO_PARSER = 'parsing-unet-occlusion'  # of photos and videos, where something may be in front of a face
# depth, and the layers that losses look at
VGGS: dict[str, tuple[int, tuple[str, ...]]] = {
    'vgg16': (16, ('relu1_2', 'relu2_2', 'relu3_3', 'relu4_3', 'relu5_3')),
    'vgg19': (19, ('relu1_1', 'relu2_1', 'relu3_1', 'relu4_1', 'conv4_4', 'relu5_1')),
}


def file_of(name: str) -> Path:
    """The converted file of an entry where there is one, the published file otherwise."""
    converted = weights.entry(name).path.with_suffix('.safetensors')
    return converted if converted.is_file() else weights.path(name)


def fingerprint(encoder: str) -> str:
    """Name of an identity encoder, as load_embedder takes it, with the first digits of its weights' sha256: what it saw of
    images holds for these weights alone."""
    file = Path(encoder) if encoder.endswith('.safetensors') else file_of(encoder)
    return f'{Path(encoder).stem}-{weights.digest(file)[:8]}'


def _state(name: str) -> dict[str, Tensor]:
    """The named tensors of an entry: of its converted file where there is one, of the published file otherwise."""
    file = file_of(name)
    return read_state(file) if file.suffix == '.safetensors' else read_state(file, weights.entry(name).member)


def _load(table: dict, kind: str, name: str) -> tuple[nn.Module, dict]:
    if name not in table:
        raise ValueError(f'unknown {kind} {name!r}; known: {", ".join(table)}')
    build, feeding = table[name]
    network = build()
    state = _state(name)
    network.load_state_dict({key: value.float() if value.is_floating_point() else value for key, value in state.items()})
    return network, feeding


def published(name: str) -> nn.Module:
    """The network of one of EMBEDDERS as it was published, to go on training it; errors as for load_embedder."""
    return _load(EMBEDDERS, 'identity encoder', name)[0]


def load_embedder(name: str) -> Embedder:
    """An identity encoder of EMBEDDERS, or of an encoder.safetensors of train_identity.py. ValueError names those known or says
    what is wrong with the file; weights.MissingWeights says how to fetch it."""
    if name.endswith('.safetensors'):
        from models.perception.encoders.family import load_encoder  # which imports this module
        return load_encoder(name)[0]
    network, feeding = _load(EMBEDDERS, 'identity encoder', name)
    return Embedder(network, **feeding)


def load_parser(name: str) -> FaceParser:
    """A face parser of PARSERS; errors as for load_embedder."""
    network, feeding = _load(PARSERS, 'face parser', name)
    return FaceParser(network, **feeding)


def load_vgg(name: str) -> VGGFeatures:
    """One of VGGS, up to the last layer that a loss of the suite looks at; errors as for load_embedder."""
    if name not in VGGS:
        raise ValueError(f'unknown VGG {name!r}; known: {", ".join(VGGS)}')
    network = VGGFeatures(*VGGS[name])
    state = _state(name)
    network.load_state_dict({key: state[key] for key in network.state_dict() if key in state})
    return network.eval()


def build_perception(id_encoder: str = 'identity-mobilefacenet', teacher: str | None = None, parser: str | None = 'parsing-unet',
                     vgg: str | None = None, landmarks: bool = False, distillation_teacher: str | None = None) -> Perception:
    """The frozen networks of a run. teacher: the embedder of the identity loss, None for the id_encoder. distillation_teacher: a
    trained swapper, by file or by a name of models.weights."""
    encoder = load_embedder(id_encoder)
    perception = Perception(encoder, encoder if teacher in (None, id_encoder) else load_embedder(teacher),
                            load_parser(parser) if parser else None, load_vgg(vgg) if vgg else None,
                            FiveLandmarks() if landmarks else None)
    if distillation_teacher:
        is_file = distillation_teacher.endswith('.safetensors')
        file = distillation_teacher if is_file else weights.path(distillation_teacher)
        perception.distillation_teacher = load_family(file, replace(perception))
    return perception
