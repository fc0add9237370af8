"""Faces of photos as drawings and back: detect, align, translate, and paste into the photo where that is wanted.

    translator = FaceTranslator(load_translator(default_weights(), perception), build_detector())
    made = translator.translate_image(photo, styles=3, paste=True)
    made.faces[0].translations[2], made.pasted[2], translation_sheet(made)
    VideoEngine(translator.face_generator(style=2), translator.size, Tracker(detector)).convert(video, output)
"""
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models import weights
from models.base import Family, Perception
from models.perception.detection import Detector, Face
from models.pipelines import blend, occlusion
from models.pipelines.framing import AlignedImage, align_image, center_crop
from models.pipelines.io.contact_sheet import contact_sheet, portrait
from models.pipelines.photo import LARGEST, choose, crop_face
from models.registry import TRANSLATORS, family_name, load_family


@dataclass(frozen=True)
class TranslatedFace:
    """face (S,S,3) uint8 RGB, aligned; translations, the same in each of the styles; found, where it lies in the image, or None
    where the image itself was an aligned face."""

    face: np.ndarray
    translations: list[np.ndarray]
    detection: Face | None


@dataclass(frozen=True)
class TranslatedImage:
    """An image (H,W,3) uint8 RGB with its translated faces; pasted, the image with all of them in it, for each style, or empty
    where that was not asked for; reference (S,S,3), the image that gave the style, or None."""

    image: np.ndarray
    faces: list[TranslatedFace]
    pasted: list[np.ndarray]
    reference: np.ndarray | None


def load_translator(file: str | Path, perception: Perception) -> Family:
    """A translator from one safetensors file; ValueError, one sentence, where the file holds something else."""
    name = family_name(file)
    if name is not None and name not in TRANSLATORS:
        raise ValueError(f'{file} holds the family {name}, which swaps faces and translates nothing: use scripts/swap.py, or '
                         f'give weights of one of {", ".join(TRANSLATORS)}')
    return load_family(file, perception)


def default_weights() -> Path:
    """The file of the first translator of models/zoo; ValueError, with what to do, where the zoo holds none."""
    ours = (entry.path for entry in weights.TABLE.values() if entry.in_zoo and entry.format == 'safetensors')
    for path in ours:
        if path.is_file() and family_name(path) in TRANSLATORS:
            return path
    raise ValueError('the zoo holds no translator: train one with `python scripts/train.py --family cyclegan --data unpaired '
                     '--root FOLDER` and name the run folder, or name a file of weights')


class FaceTranslator:
    """A translator in one direction (its first one where None), with a detector that finds faces.

    parser: finds the face in a photo, for pasting. centers: label -> (K,features), typical looks of parts for a pix2pixHD, one of
    which each style takes by chance (datasets.preparation.feature_clusters). device: where family and parser already are.
    ValueError where the family lacks the direction or takes no features.
    """

    def __init__(self, family: Family, detector: Detector, direction: str | None = None, *, parser=None,
                 centers: dict[int, Tensor] | None = None, device: str | torch.device = 'cpu'):
        self.family, self.detector, self.parser, self.centers = family, detector, parser, centers
        self.direction, self.device = direction or family.directions[0], torch.device(device)
        self.name = type(family).__name__
        if self.direction not in family.directions:
            raise ValueError(f'{self.name} does not translate {direction}; it knows {", ".join(family.directions)}')
        if centers is not None and not hasattr(family, 'sample'):
            raise ValueError(f'{self.name} draws from no features of parts; leave them away, or give weights of a pix2pixHD')

    @property
    def size(self) -> int:
        """Side in pixels of the aligned crops."""
        return self.family.config.size

    @property
    def description(self) -> str:
        """What is done to a face, for GenerationInfo."""
        return ('a face of a photograph was translated into a drawing' if self.direction == 'a2b' else
                'a drawing of a face was translated into a photograph')

    def check(self, styles: int = 1, reference: bool = False) -> None:
        """ValueError, one sentence, where the family knows no such styles."""
        if styles < 1:
            raise ValueError(f'{styles} styles are no number of translations; give 1 or more')
        if reference and not self.family.styled:
            raise ValueError(f'{self.name} takes no style from a reference image; leave the reference away, or use munit, '
                             'satnet or stargan')
        if reference and (styles > 1 or self.centers is not None):
            raise ValueError('a reference image gives one style: leave the number of styles and features of parts away')
        if styles > 1 and self.centers is None and (not self.family.styled or hasattr(self.family, 'sample')):
            raise ValueError(f'{self.name} knows one translation of an image; '
                             + ('give features of parts, which styles are drawn from (scripts/encode_features.py)'
                                if self.family.styled else 'for several styles use munit, satnet or stargan'))

    @torch.no_grad()
    def translate_crops(self, crops: Tensor, *, style: int = 0, reference: Tensor | None = None) -> Tensor:
        """Aligned faces (B,3,S,S) in [-1,1] -> their translations, the same on the CPU. style: number of a style that chance
        makes, the same for all images of all calls; reference (1,3,S,S): gives the style instead."""
        def chance() -> torch.Generator:
            return torch.Generator(self.device).manual_seed(style)

        crops = crops.to(self.device)
        if self.centers is not None:
            labels = self.family.parsed(crops)
            made = [self.family.sample(one, self.centers, generator=torch.Generator().manual_seed(style))
                    for one in labels.split(1)]
        elif reference is None and self.family.styled:  # one by one, or else each would get a style of its own
            made = [self.family.translate(one, self.direction, generator=chance()) for one in crops.split(1)]
        else:
            given = None if reference is None else reference.to(self.device).expand_as(crops)
            made = [self.family.translate(crops, self.direction, reference=given, generator=chance())]
        return torch.cat(made).float().cpu()

    def face_generator(self, *, style: int = 0, reference: AlignedImage | None = None):
        """For models.pipelines.video.engine: translates every face in one style, as `translate_crops`."""
        self.check(reference=reference is not None)

        def make(faces) -> tuple[Tensor, Tensor]:
            made = self.translate_crops(faces.crops, style=style, reference=reference and reference.image)
            return made, self.masks(faces.crops, made)

        return make

    def align_image(self, reference: np.ndarray) -> AlignedImage:
        """An image that is to give the style, as `translate_image` wants it; its note says what the user should know."""
        self.check(reference=True)
        return align_image(reference, self.detector, self.size)

    def translate_image(self, image: np.ndarray, *, face: str | int = LARGEST, aligned: bool = False, styles: int = 1,
                style: int = 0, reference: AlignedImage | None = None, paste: bool = False) -> TranslatedImage:
        """Translate faces of (H,W,3) uint8 RGB of any size.

        face: which, as models.pipelines.photo.choose; aligned: the image is a face as the data sets have it, of which the
        central square is taken, and nothing is detected. styles, style: how many, and the number of the first; reference: what
        `align_image` made of the image that gives the style; paste: put the translations into the image, too. ValueError, one
        sentence, where no face is found and where something does not go together.
        """
        self.check(styles, reference is not None)
        if aligned and paste:
            raise ValueError('an aligned face is translated as a whole, so there is nothing to paste it into; leave out one of '
                             'the two')
        if aligned:
            found, crops = [None], center_crop(image, self.size)
        else:
            found = choose(self.detector.detect(image), face, 'image')
            crops = torch.cat([crop_face(image, one.points, self.size) for one in found])
        made = [self.translate_crops(crops, style=style + number, reference=reference and reference.image)
                for number in range(styles)]
        faces = [TranslatedFace(_seen(crops[index]), [_seen(one[index]) for one in made], place)
                 for index, place in enumerate(found)]
        pasted = [self.paste(image, found, crops, one) for one in made] if paste else []
        return TranslatedImage(image, faces, pasted, _seen(reference.image[0]) if reference else None)

    def paste(self, image: np.ndarray, faces: list[Face], crops: Tensor, made: Tensor) -> np.ndarray:
        """The image with the translations (N,3,S,S) of its faces' crops (N,3,S,S) in it."""
        masks, result, cover = blend.soften(self.masks(crops, made)), image.copy(), np.zeros(image.shape[:2], np.float32)
        for index in reversed(range(len(faces))):  # the largest, which is nearest, last
            blend.paste(result, made[index], masks[index], faces[index].points, cover)
        return result

    @torch.no_grad()
    def masks(self, crops: Tensor, made: Tensor) -> Tensor:
        """Where translations (B,3,S,S) of crops are to show in them: hard masks (B,1,M,M) of the face without its hair, which a
        crop cuts off. Of the two the parser looks at the one that is a photo."""
        photos = (crops if self.direction[0] == 'a' else made).to(self.device)
        return occlusion.face_masks(self.parser, photos, photos)[0].cpu()


def translation_sheet(made: TranslatedImage) -> np.ndarray:
    """A row for each face: the face, the reference where there is one, its translations, and where they were pasted the image
    before and after; (H,W,3) uint8 RGB."""
    count = len(made.faces[0].translations)
    styles = [f'style {number + 1}' for number in range(count)] if count > 1 else ['translation']
    given = [] if made.reference is None else [made.reference]
    places = ['before', 'after'] if made.pasted else []
    rows = []
    for one in made.faces:
        shown = [portrait(whole, one.detection) for whole in (made.image, *made.pasted[:1])] if made.pasted else []
        rows.append([one.face, *given, *one.translations, *shown])
    return contact_sheet(rows, ['face', *['reference'] * len(given), *styles, *places])


def _seen(image: Tensor) -> np.ndarray:
    """(3,H,W) in [-1,1] -> (H,W,3) uint8."""
    return ((image.permute(1, 2, 0) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()
