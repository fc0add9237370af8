"""Published perception networks by name, with their weights and preprocessing."""
from collections.abc import Callable
from functools import partial
from pathlib import Path

from torch import Tensor, nn

from models import weights
from models.batch import PARTS
from models.conversion.convert import read_state
from models.images import SCALE_128
from models.perception.encoders.embedder import Embedder
from models.perception.features.vgg import VGGFeatures
from models.perception.parsers.parser import FaceParser, ParsingUNet

# Class names (CelebAMask-HQ) of the published BiSeNet (face-parsing.PyTorch) in the order of its class ids.
_BISENET_CLASSES = ('background', 'skin', 'l_brow', 'r_brow', 'l_eye', 'r_eye', 'eye_g', 'l_ear', 'r_ear', 'ear_r', 'nose',
                    'mouth', 'u_lip', 'l_lip', 'neck', 'neck_l', 'cloth', 'hair', 'hat')
# The same of the published small U-Net.
_SMALL_UNET_CLASSES = ('background', 'u_lip', 'l_brow', 'skin', 'r_ear', 'r_eye', 'nose', 'neck_l', 'l_ear', 'eye_g', 'l_lip',
                       'r_brow', 'hat', 'hair', 'mouth', 'neck', 'cloth', 'l_eye', 'ear_r')
_OTHER_SIDE = {f'{a}_{part}': f'{b}_{part}' for a, b in ('lr', 'rl') for part in ('eye', 'brow', 'ear')}


def _order(classes: tuple[str, ...]) -> tuple[int, ...]:
    """For each of PARTS the class id of a network trained on CelebAMask-HQ, where l_ is the subject's left and not the
    viewer's."""
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


# name in models.weights -> network, keyword arguments of Embedder
EMBEDDERS: dict[str, tuple[Callable[[], nn.Module], dict]] = {
    'identity-mobilefacenet': (lambda: _mobilefacenet(112, 112), {'template': 'arcface', 'mirrored': True}),
    'identity-caricature': (lambda: _mobilefacenet(112, 112), {'template': 'arcface', 'mirrored': True}),
    'mobilefacenet-068': (lambda: _mobilefacenet(112, 96), {'template': 'sphereface', 'scale': SCALE_128}),
    **{f'arcface-{data}-r{depth}': (partial(_iresnet, depth), {'template': 'arcface'})
       for data in ('ms1mv3', 'glint360k') for depth in (18, 34, 50, 100)},
    'sphere20a': (_sphereface, {'template': 'sphereface', 'scale': SCALE_128, 'bgr': True}),
}
PARSERS: dict[str, tuple[Callable[[], nn.Module], dict]] = {
    'parsing-unet': (ParsingUNet, {}),
    'parsing-unet-occlusion': (ParsingUNet, {}),
    'parsing-unet-small': (_small_unet, {'template': 'celebahq', 'size': 256, 'order': _order(_SMALL_UNET_CLASSES)}),
    'bisenet': (_bisenet, {'template': 'ffhq', 'size': 512, 'imagenet': True, 'order': _order(_BISENET_CLASSES)}),
}
PHOTO_PARSER = 'parsing-unet-occlusion'  # parser of photos and videos, trained with occluders
# name -> depth, layers of the losses
VGGS: dict[str, tuple[int, tuple[str, ...]]] = {
    'vgg16': (16, ('relu1_2', 'relu2_2', 'relu3_3', 'relu4_3', 'relu5_3')),
    'vgg19': (19, ('relu1_1', 'relu2_1', 'relu3_1', 'relu4_1', 'conv4_4', 'relu5_1')),
}


def file_of(name: str) -> Path:
    """The converted file of an entry if it exists, else the published file."""
    converted = weights.entry(name).path.with_suffix('.safetensors')
    return converted if converted.is_file() else weights.path(name)


def fingerprint(encoder: str) -> str:
    """Name of an identity encoder (see load_embedder) with the first digits of the sha256 of its weights; key of cached
    embeddings."""
    file = Path(encoder) if encoder.endswith('.safetensors') else file_of(encoder)
    return f'{Path(encoder).stem}-{weights.digest(file)[:8]}'


def _state(name: str) -> dict[str, Tensor]:
    """Named tensors of an entry, from its converted file if it exists, else from the published file."""
    file = file_of(name)
    return read_state(file) if file.suffix == '.safetensors' else read_state(file, weights.entry(name).member)


def _load(table: dict, kind: str, name: str) -> tuple[nn.Module, dict]:
    if name not in table:
        raise ValueError(f'unknown {kind} {name!r}; known: {", ".join(table)}')
    build, preprocessing = table[name]
    network = build()
    state = _state(name)
    network.load_state_dict({key: value.float() if value.is_floating_point() else value for key, value in state.items()})
    return network, preprocessing


def published(name: str) -> nn.Module:
    """The network of one of EMBEDDERS without preprocessing, for training. Raises the errors of load_embedder."""
    return _load(EMBEDDERS, 'identity encoder', name)[0]


def load_published_embedder(name: str) -> Embedder:
    """Load an identity encoder of EMBEDDERS. Raises the errors of load_embedder."""
    network, preprocessing = _load(EMBEDDERS, 'identity encoder', name)
    return Embedder(network, **preprocessing)


def load_parser(name: str) -> FaceParser:
    """Load a face parser of PARSERS. Raises the errors of load_embedder."""
    network, preprocessing = _load(PARSERS, 'face parser', name)
    return FaceParser(network, **preprocessing)


def load_vgg(name: str) -> VGGFeatures:
    """Load one of VGGS up to the last layer of its losses. Raises the errors of load_embedder."""
    if name not in VGGS:
        raise ValueError(f'unknown VGG {name!r}; known: {", ".join(VGGS)}')
    network = VGGFeatures(*VGGS[name])
    state = _state(name)
    network.load_state_dict({key: state[key] for key in network.state_dict() if key in state})
    return network.eval()
