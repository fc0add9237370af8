"""Lists of faces by the name of the data set."""
from collections.abc import Callable
from pathlib import Path

from datasets.cache import packed
from datasets.celeba import celeba
from datasets.celebamask import celebamask
from datasets.faces import Faces
from datasets.identity_folder import identity_folder, plain
from datasets.webcaricature import webcaricature

# name -> function (root, partition) -> Faces
FACES: dict[str, Callable[..., Faces]] = {
    'celeba': celeba,
    'celebamask': celebamask,
    'folder': identity_folder,
    'webcaricature': webcaricature,
    'plain': plain,
    'cache': packed,
}
DATASETS = ('synthetic', *FACES, 'unpaired')


def build_faces(name: str, root: str | Path | None, partition: str = 'all') -> Faces:
    """The list of faces of one of FACES. Raises ValueError for an unknown name, a missing root or an empty partition."""
    if name not in FACES:
        raise ValueError(f'unknown set of faces {name!r}; known: {", ".join(FACES)}')
    return FACES[name](require_root(name, root), partition)


def require_root(name: str, root: str | Path | None) -> str | Path:
    """The root folder of a data set. Raises ValueError if it is None."""
    if root is None:
        raise ValueError(f'the data set {name!r} is read from disk; set its root folder')
    return root
