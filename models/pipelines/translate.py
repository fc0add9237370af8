"""Translation of faces in photos into drawings and back: detection, alignment, translation and optional pasting.

    translator = FaceTranslator(load_translator(default_weights(), perception), build_detector())
    result = translator.translate_image(photo, styles=3, paste=True)
    result.faces[0].translations[2], result.pasted[2], translation_sheet(result)
    VideoEngine(translator.face_generator(style=2), translator.size, Tracker(detector)).convert(video, output)
"""
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from models import weights
from models.base import FamilyConfig, Perception
from models.images import to_uint8
from models.perception.detection import Detector, Face
from models.pipelines import blend, occlusion
from models.pipelines.framing import AlignedImage, align_image, center_crop
from models.pipelines.io.contact_sheet import contact_sheet, portrait
from models.pipelines.photo import LARGEST, AlignedFaces, FaceGenerator, choose, crop_face
from models.registry import TRANSLATORS, family_name, load_family


@runtime_checkable
class TranslatorFamily(Protocol):
    """The interface of a family that translates; attributes and methods are those of
    models.translation.translator.Translator."""

    config: FamilyConfig
    directions: tuple[str, ...]

    @property
    def styled(self) -> bool: ...

    def translate(self, images: Tensor, direction: str = 'a2b', *, reference: Tensor | None = None,
                  generator: torch.Generator | None = None) -> Tensor: ...


@dataclass(frozen=True)
class TranslatedFace:
    """A translated face.

    Attributes:
        crop: the aligned face (S,S,3) uint8 RGB.
        translations: (S,S,3) uint8 RGB for each style.
        detection: the face in the image, or None if the image itself was aligned.
    """

    crop: np.ndarray
    translations: list[np.ndarray]
    detection: Face | None


@dataclass(frozen=True)
class TranslatedImage:
    """An image with translated faces.

    Attributes:
        image: (H,W,3) uint8 RGB.
        faces: the translated ones.
        pasted: for each style the image with all translations pasted into it; empty unless requested.
        reference: aligned image (S,S,3) uint8 that the style was taken from, or None.
    """

    image: np.ndarray
    faces: list[TranslatedFace]
    pasted: list[np.ndarray]
    reference: np.ndarray | None


def load_translator(file: str | Path, perception: Perception | None) -> Any:
    """A translation family (models.translation.translator.Translator) from a safetensors file. Raises ValueError for another
    file."""
    name = family_name(file)
    if name is not None and name not in TRANSLATORS:
        raise ValueError(f'{file} holds the family {name}, which swaps faces and translates nothing: use scripts/swap.py, or '
                         f'give weights of one of {", ".join(TRANSLATORS)}')
    return load_family(file, perception)


def default_weights() -> Path:
    """The file of the first translator in models/zoo. Raises ValueError if there is none."""
    paths = (entry.path for entry in weights.TABLE.values() if entry.in_zoo and entry.format == 'safetensors')
    for path in paths:
        if path.is_file() and family_name(path) in TRANSLATORS:
            return path
    raise ValueError('the zoo holds no translator: train one with `python scripts/train.py --family cyclegan --data unpaired '
                     '--root FOLDER` and name the run folder, or name a file of weights')


class FaceTranslator:
    """A translation family in one direction with a face detector.

    Args:
        family: on `device`.
        detector: of faces.
        direction: 'a2b' (photo to drawing) or 'b2a'; None for the family's first one.
        parser: segments the face of a photo, for pasting; on `device`.
        centers: for pix2pixHD, label -> cluster centers (K,features) from which the features of a style are sampled
            (datasets.preparation.feature_clusters).
        device: of the networks.

    Raises:
        ValueError: the family does not support the direction or `centers`.
    """

    def __init__(self, family: TranslatorFamily, detector: Detector, direction: str | None = None, *,
                 parser: Callable[[Tensor], Tensor] | None = None, centers: dict[int, Tensor] | None = None,
                 device: str | torch.device = 'cpu'):
        self.family, self.detector, self.parser, self.centers = family, detector, parser, centers
        self.direction, self.device = direction or family.directions[0], torch.device(device)
        self.name = type(family).__name__
        if self.direction not in family.directions:
            raise ValueError(f'{self.name} does not translate {direction}; supported: {", ".join(family.directions)}')
        if centers is not None and not hasattr(family, 'sample'):
            raise ValueError(f'{self.name} uses no features of parts; omit them, or give weights of a pix2pixHD')

    @property
    def size(self) -> int:
        """Side in pixels of the aligned crops."""
        return self.family.config.size

    @property
    def description(self) -> str:
        """Description of the translation for GenerationInfo."""
        return ('a face of a photograph was translated into a drawing' if self.direction == 'a2b' else
                'a drawing of a face was translated into a photograph')

    def check(self, styles: int = 1, reference: bool = False) -> None:
        """Raises ValueError if the family does not support that number of styles, or a reference image."""
        if styles < 1:
            raise ValueError(f'the number of styles is at least 1, not {styles}')
        if reference and not self.family.styled:
            raise ValueError(f'{self.name} takes no style from a reference image; omit the reference, or use munit, '
                             'satnet or stargan')
        if reference and (styles > 1 or self.centers is not None):
            raise ValueError('a reference image gives one style: omit the number of styles and the features of parts')
        if styles > 1 and self.centers is None and (not self.family.styled or hasattr(self.family, 'sample')):
            raise ValueError(f'{self.name} supports one translation of an image; '
                             + ('give features of parts, from which styles are sampled (scripts/encode_features.py)'
                                if self.family.styled else 'for several styles use munit, satnet or stargan'))

    @torch.no_grad()
    def translate_crops(self, crops: Tensor, *, style: int = 0, reference: Tensor | None = None) -> Tensor:
        """Translate aligned faces.

        Args:
            crops: (B,3,S,S) in [-1,1].
            style: seed of the sampled style, which is the same for all images of all calls.
            reference: image (1,3,S,S) that the style is taken from instead.

        Returns:
            (B,3,S,S) in [-1,1] on the CPU.
        """
        def seeded() -> torch.Generator:
            return torch.Generator(self.device).manual_seed(style)

        crops = crops.to(self.device)
        if self.centers is not None:
            family = cast(Any, self.family)  # with `sample`, checked by __init__
            translations = [family.sample(labels, self.centers, generator=torch.Generator().manual_seed(style))
                            for labels in family.parsed(crops).split(1)]
        elif reference is None and self.family.styled:  # one by one: a batch would sample a style per image
            translations = [self.family.translate(crop, self.direction, generator=seeded()) for crop in crops.split(1)]
        else:
            references = None if reference is None else reference.to(self.device).expand_as(crops)
            translations = [self.family.translate(crops, self.direction, reference=references, generator=seeded())]
        return torch.cat(translations).float().cpu()

    def face_generator(self, *, style: int = 0, reference: AlignedImage | None = None) -> FaceGenerator:
        """Generator for models.pipelines.video.engine that translates all faces in one style; arguments are those of
        `translate_crops`."""
        self.check(reference=reference is not None)

        def generate_faces(faces: AlignedFaces) -> tuple[Tensor, Tensor]:
            translations = self.translate_crops(faces.crops, style=style, reference=reference.image if reference else None)
            return translations, self.masks(faces.crops, translations)

        return generate_faces

    def align_image(self, reference: np.ndarray) -> AlignedImage:
        """Align the image (H,W,3) uint8 RGB of a style for `translate_image`."""
        self.check(reference=True)
        return align_image(reference, self.detector, self.size)

    def translate_image(self, image: np.ndarray, *, face: str | int = LARGEST, aligned: bool = False, styles: int = 1,
                        style: int = 0, reference: AlignedImage | None = None, paste: bool = False) -> TranslatedImage:
        """Translate faces of an image.

        Args:
            image: (H,W,3) uint8 RGB of any size.
            face: choice of faces, as models.pipelines.photo.choose.
            aligned: the image is an aligned face: its central square is translated, without detection.
            styles: number of styles.
            style: seed of the first one.
            reference: image of the style, from `align_image`.
            paste: paste the translations into the image.

        Raises:
            ValueError: no face is detected, or arguments exclude each other.
        """
        self.check(styles, reference is not None)
        if aligned and paste:
            raise ValueError('an aligned face is translated as a whole, so there is nothing to paste it into; leave out one of '
                             'the two')
        detections: list[Face] = []
        if aligned:
            crops = center_crop(image, self.size)
        else:
            detections = choose(self.detector.detect(image), face, 'image')
            crops = torch.cat([crop_face(image, detection.points, self.size) for detection in detections])
        results = [self.translate_crops(crops, style=style + number, reference=reference.image if reference else None)
                   for number in range(styles)]
        faces = [TranslatedFace(to_uint8(crop), [to_uint8(translations[index]) for translations in results],
                                None if aligned else detections[index]) for index, crop in enumerate(crops)]
        pasted = [self.paste(image, detections, crops, translations) for translations in results] if paste else []
        return TranslatedImage(image, faces, pasted, to_uint8(reference.image[0]) if reference else None)

    def paste(self, image: np.ndarray, faces: list[Face], crops: Tensor, translations: Tensor) -> np.ndarray:
        """Copy of an image (H,W,3) uint8 with the translations (N,3,S,S) of its faces, whose crops are (N,3,S,S)."""
        masks, result = blend.soften(self.masks(crops, translations)), image.copy()
        coverage = np.zeros(image.shape[:2], np.float32)
        for index in reversed(range(len(faces))):  # the largest, which is nearest, last
            blend.paste(result, translations[index], masks[index], faces[index].points, coverage)
        return result

    @torch.no_grad()
    def masks(self, crops: Tensor, translations: Tensor) -> Tensor:
        """Hard masks (B,1,M,M) of the faces in crops (B,3,S,S), without hair, which a crop cuts off; parsed in the photos among
        crops and translations."""
        photos = (crops if self.direction[0] == 'a' else translations).to(self.device)
        return occlusion.face_masks(self.parser, photos, photos)[0].cpu()


def translation_sheet(result: TranslatedImage) -> np.ndarray:
    """Contact sheet with a row per face: crop, reference if any, translations, and the surroundings before and after pasting;
    (H,W,3) uint8 RGB."""
    count = len(result.faces[0].translations)
    styles = [f'style {number + 1}' for number in range(count)] if count > 1 else ['translation']
    references = [] if result.reference is None else [result.reference]
    rows = []
    for face in result.faces:
        images = (result.image, *result.pasted[:1]) if result.pasted else ()
        portraits = [portrait(image, face.detection) for image in images if face.detection]
        rows.append([face.crop, *references, *face.translations, *portraits])
    return contact_sheet(rows, ['face', *['reference'] * len(references), *styles,
                                *(['before', 'after'] if result.pasted else [])])
