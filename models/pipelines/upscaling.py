"""Super-resolution of generated faces by an ONNX network before they are pasted."""
from pathlib import Path

from torch import Tensor

from configs.reading import shown
from models.images import from_signed, to_signed
from models.runtime.sessions import Session


class Upscaler:
    """An ONNX network with one input (1,3,H,W) and one output (1,3,k*H,k*W), RGB in [0,1], for any k.

    This is the form in which Real-ESRGAN (Wang et al. 2021, arXiv:2107.10833) is exported. Raises ValueError for another file.
    """

    def __init__(self, file: str | Path, device: str = 'cpu'):
        self.file = Path(file)
        try:
            self.session = Session(self.file, device, spin=False)
            self.name, = self.session.inputs
        except ValueError as error:
            raise ValueError(f'{file} cannot be used for upscaling ({error}): give an ONNX file with one input, an RGB image '
                             '(1,3,H,W) in [0,1]') from error

    def __call__(self, image: Tensor) -> Tensor:
        """Upscale (3,H,W) in [-1,1] to (3,k*H,k*W). Raises ValueError if the network rejects the image or returns another
        shape."""
        small = from_signed(image.float().cpu(), 'unit').clamp(0, 1)[None]
        try:
            large = self.session(**{self.name: small})
            if large.shape[:2] != (1, 3) or large.shape[2] * small.shape[3] != large.shape[3] * small.shape[2]:
                raise ValueError(f'it returns {tuple(large.shape)}')
        except Exception as error:
            size = 'x'.join(map(str, image.shape[:0:-1]))
            raise ValueError(f'{self.file} does not upscale an image of {size} ({shown(error, 300)})') from error
        return to_signed(large[0].float().clamp(0, 1), 'unit')
