"""Swaps between photographs that installed packages carry: nothing of one's own and no network is needed."""
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
# source, its face; target, its face: numbers by size. The first row becomes the image.
PAIRS = (
    ('group', 3, 'astronaut', 0),
    ('portrait', 0, 'astronaut', 0),
    ('astronaut', 0, 'group', 3),
    ('portrait', 0, 'group', 4),
    ('group', 4, 'group', 0),
)


def demo_photo(name: str) -> np.ndarray:
    """(H,W,3) uint8 RGB, one of PHOTOS. ValueError where the package or its photo is not installed."""
    package, file = PHOTOS[name]
    found = find_spec(package)
    if found is None:
        raise ValueError(f'the demonstration wants a photo of the package {package}; install it with the suite: pip install -e .')
    return read_image(Path(found.submodule_search_locations[0]) / file)


def demo(swapper: PhotoSwapper) -> tuple[np.ndarray, np.ndarray]:
    """The first pair's finished image, and a contact sheet of all pairs: source, target, swap; (H,W,3) uint8 RGB each."""
    photos = {name: demo_photo(name) for name in PHOTOS}
    faces = {name: swapper.detector.detect(photo) for name, photo in photos.items()}
    images, rows = [], []
    for source, giver, target, taker in PAIRS:
        giver, taker = faces[source][giver], faces[target][taker]
        images.append(swapper.exchange(photos[source], giver, photos[target], [taker])[0])
        rows.append([portrait(photos[source], giver), portrait(photos[target], taker), portrait(images[-1], taker)])
    return images[0], contact_sheet(rows, ['source', 'target', 'swap'])
