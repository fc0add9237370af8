"""IoU of a face parser on labeled images."""
import numpy as np
import torch
from torch import nn

from experiments.evaluation.metrics.parsing import confusion, part_iou, region_iou
from models.batch import COARSE, FACE_IDS, PARTS, collate
from models.perception.parsers.family import coarse_labels

_HEAD = [list(COARSE).index(name) for name in ('skin', 'eyes', 'nose', 'mouth')]


@torch.no_grad()
def measure(parser: nn.Module, source, *, device: str | torch.device = 'cpu', batch: int = 32, most: int = 300) -> dict:
    """face: mean over images of the IoU of face against rest; parts: IoU of each part over all pixels, by name; images: how
    many took part, at most `most`, spread evenly over the source (datasets.samples.parsing.Labeled or RenderedFaces).

    Against coarse labels `face` is skin, eyes, nose and mouth with ears and neck, which are not separate classes there.
    Raises ValueError without usable images.
    """
    names, region = (list(COARSE), _HEAD) if source.coarse else (list(PARTS), list(FACE_IDS))
    faces, counts = [], torch.zeros(len(names), len(names)).long()
    rows = np.unique(np.linspace(0, len(source) - 1, min(most, len(source))).round().astype(int))
    for indices in np.split(rows, range(batch, len(rows), batch)):
        samples = [sample for index in indices if (sample := source.sample(int(index))) is not None]
        if samples:
            labeled = collate(samples).to(device)
            logits = parser(labeled.images)
            predicted, truth = (coarse_labels(logits), labeled.coarse) if source.coarse else (logits.argmax(1), labeled.labels)
            faces += region_iou(predicted, truth, region).tolist()
            counts += confusion(predicted, truth, len(names)).cpu()
    if not faces:
        raise ValueError('none of the images could be read and framed; check the folder and its label maps')
    parts = {name: iou for name, iou in zip(names, part_iou(counts).tolist()) if iou == iou}
    return {'face': float(np.mean(faces)), 'images': len(faces), 'parts': parts}
