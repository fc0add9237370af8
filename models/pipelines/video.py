"""Films and cameras: faces are followed, made anew by any function of aligned faces, and put back into every frame.

    tracker = Tracker(detector, embed, choice='largest')
    engine = VideoEngine(make, size, tracker)
    report = engine.convert(Path('clip.mp4'), Path('out.mp4'), making=Making.of(...))
    report = engine.live(camera, show)

`make` is all that the engine knows of a model. It gets Faces and returns made faces (B,3,S,S) in [-1,1] in the template `face` and
masks (B,1,M,M) in [0,1] of where they are to show, hard: the engine steadies both over time, softens the masks and pastes.
A translator is such a function:

    def make(faces):
        return translator.draw(faces.crops), translator.heads(faces.crops)
"""
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Faces:
    """Aligned faces of some frames, in their order. crops (B,3,S,S) in [-1,1] in the template `face`; points (B,5,2), their
    landmarks in pixels of the crops; roles, for each the number of its reference of Tracker, 0 where there are none."""

    crops: Tensor
    points: Tensor
    roles: list[int]


Make = Callable[[Faces], tuple[Tensor, Tensor]]
