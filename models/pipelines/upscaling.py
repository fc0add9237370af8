"""A super-resolution network between generator and photo: a made face gets finer than its generator drew it."""
from pathlib import Path

from torch import Tensor

from configs.reading import shown
from models.runtime.sessions import Session


class Upscaler:
    """A network in ONNX form with one input and one output, images (1,3,H,W) RGB in [0,1] -> (1,3,k*H,k*W), any k: the form in
    which Real-ESRGAN (Wang et al. 2021, arXiv:2107.10833) and its like are exported. ValueError where the file is no such one."""

    def __init__(self, file: str | Path, device: str = 'cpu'):
        self.file = Path(file)
        try:
            self.session = Session(self.file, device, spin=False)
            self.name, = self.session.inputs
        except ValueError as error:
            raise ValueError(f'{file} cannot be used for upscaling ({error}): give an ONNX file with one input, an RGB image '
                             '(1,3,H,W) in [0,1]') from error

    def __call__(self, image: Tensor) -> Tensor:
        """(3,H,W) in [-1,1] -> (3,k*H,k*W) in [-1,1]. ValueError where the network does not take or give such an image."""
        given = ((image.float().cpu() + 1) / 2).clamp(0, 1)[None]
        try:
            made = self.session(**{self.name: given})
            if made.shape[:2] != (1, 3) or made.shape[2] * given.shape[3] != made.shape[3] * given.shape[2]:
                raise ValueError(f'it gave {tuple(made.shape)}')
        except Exception as error:
            size = 'x'.join(map(str, image.shape[:0:-1]))
            raise ValueError(f'{self.file} does not upscale an image of {size} ({shown(error, 300)})') from error
        return made[0].float().clamp(0, 1) * 2 - 1
