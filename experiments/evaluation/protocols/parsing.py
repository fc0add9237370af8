"""Intersection over union of a face parser on labeled images."""
from typing import Any

import numpy as np
import torch
from torch import nn

from datasets.samples.parsing import ParsingSource
from experiments.evaluation.metrics.parsing import confusion, part_iou, region_iou
from models.batch import COARSE, FACE_IDS, PARTS, collate
from models.perception.parsers.family import coarse_labels

_COARSE_FACE_IDS = [list(COARSE).index(name) for name in ('skin', 'eyes', 'nose', 'mouth')]


@torch.no_grad()
def measure(parser: nn.Module, source: ParsingSource, *, device: str | torch.device = 'cpu', batch: int = 32,
            max_images: int = 300) -> dict[str, Any]:
    """Measure a face parser.

    Against coarse labels, whose skin includes ears and neck, the face is skin, eyes, nose and mouth.

    Args:
        parser: (B,3,S,S) in [-1,1] -> logits (B,19,S,S).
        source: labeled images.
        max_images: number of images, spread evenly over the source.

    Returns:
        face: mean over images of the IoU of the face region. parts: name -> IoU over all pixels. images: their number.

    Raises:
        ValueError: there are no usable images.
    """
    names, region = (list(COARSE), _COARSE_FACE_IDS) if source.coarse else (list(PARTS), list(FACE_IDS))
    face_ious: list[float] = []
    counts = torch.zeros(len(names), len(names)).long()
    rows = np.unique(np.linspace(0, len(source) - 1, min(max_images, len(source))).round().astype(int))
    for indices in np.split(rows, range(batch, len(rows), batch)):
        samples = [sample for index in indices if (sample := source.sample(int(index))) is not None]
        if samples:
            labeled = collate(samples).to(device)
            logits = parser(labeled.images)
            predicted, truth = (coarse_labels(logits), labeled.coarse) if source.coarse else (logits.argmax(1), labeled.labels)
            face_ious += region_iou(predicted, truth, region).tolist()
            counts += confusion(predicted, truth, len(names)).cpu()
    if not face_ious:
        raise ValueError('none of the images could be read and aligned; check the folder and its label maps')
    parts = {name: iou for name, iou in zip(names, part_iou(counts).tolist()) if iou == iou}
    return {'face': float(np.mean(face_ious)), 'images': len(face_ious), 'parts': parts}
