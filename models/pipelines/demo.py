"""Demonstration swaps between photographs of the installed packages insightface and scikit-image."""
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from models.pipelines.io.contact_sheet import contact_sheet, portrait
from models.pipelines.io.images import read_image
from models.pipelines.photo import PhotoSwapper

# name -> package, file in it. insightface: a group of six and a portrait of 112 pixels; scikit-image: NASA's portrait.
PHOTOS = {
    'group': ('insightface', 'data/images/t1.jpg'),
    'portrait': ('insightface', 'data/images/Tom_Hanks_54745.png'),
    'astronaut': ('skimage', 'data/astronaut.png'),
}
# Source photo, index of its face by size; target photo, index of its face. The first row is the demonstration's image.
PAIRS = (
    ('group', 3, 'astronaut', 0),
    ('portrait', 0, 'astronaut', 0),
    ('astronaut', 0, 'group', 3),
    ('portrait', 0, 'group', 4),
    ('group', 4, 'group', 0),
)


def demo_photo(name: str) -> np.ndarray:
    """One of PHOTOS as (H,W,3) uint8 RGB. Raises ValueError if the package or its photo is not installed."""
    package, file = PHOTOS[name]
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(f'the demonstration needs a photo of the package {package}; install it: pip install -e .')
    return read_image(Path(spec.submodule_search_locations[0]) / file)


def demo(swapper: PhotoSwapper) -> tuple[np.ndarray, np.ndarray]:
    """The swap of the first pair, and a contact sheet with source, target and swap of each pair; (H,W,3) uint8 RGB."""
    photos = {name: demo_photo(name) for name in PHOTOS}
    faces = {name: swapper.detector.detect(photo) for name, photo in photos.items()}
    images, rows = [], []
    for source, source_index, target, target_index in PAIRS:
        source_face, target_face = faces[source][source_index], faces[target][target_index]
        images.append(swapper.swap_faces(photos[source], source_face, photos[target], [target_face])[0])
        rows.append([portrait(photos[source], source_face), portrait(photos[target], target_face),
                     portrait(images[-1], target_face)])
    return images[0], contact_sheet(rows, ['source', 'target', 'swap'])
