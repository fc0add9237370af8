"""WebCaricature -> the aligned images that the face photo-drawing study trains on, in the same layout: bad landmarks, bad
alignments and side faces are left out, with a word on each.

Five points go by a similarity onto a canvas of 200x232 pixels. Beside the images lie report.csv, report.json and dropped.png, a
contact sheet with a column per reason. The lists are copied as they are; datasets.webcaricature knows by report.csv that images
which they name may be absent.
"""
import csv
import hashlib
import io
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import pi
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from datasets.faces import BrokenImage
from datasets.preparation.photos import begin
from datasets.synthetic.mean_face import MEAN_POINTS
from datasets.transforms.joint import into_frame, matrix_into
from datasets.webcaricature import LANDMARKS, five, webcaricature
from models import geometry
from models.geometry import TEMPLATES, Template
from models.pipelines.io.contact_sheet import contact_sheet
from models.pipelines.io.image_grid import encode_png
from models.pose import fit_pose
from models.storage.files import check_writable, sweep, write_bytes
from models.storage.strict_json import json_text

CANVAS = Template(200, 232, tuple((2 * (x + 2), 2 * (y + 2)) for x, y in TEMPLATES['sphereface'].points))
REPORT, DROPPED = 'report.csv', 'dropped.png'
_COLUMNS = ('file', 'kept', 'reason', 'yaw', 'distance')
_UNKNOWN = {'kept': 'no', 'reason': 'no landmarks', 'yaw': '', 'distance': ''}
_SHOWN = 8  # dropped images per reason on the contact sheet


@dataclass(frozen=True)
class Filter:
    """area: largest share of the canvas that a circle around a template point through the aligned point may cover; yaw: largest
    angle of a face to the side in degrees."""

    area: float = 0.10
    yaw: float = 30.0


def ordered(points: np.ndarray) -> bool:
    """Whether 17 landmarks (17,2) lie as in a face: hairline, brows, eyes, nose and mouth, chin from top to bottom, all between
    the ears, and what belongs together in its order from left to right."""
    at = dict(zip(LANDMARKS, points))
    brows, eyes = points[4:8], points[8:12]
    mouth = np.stack([at[name] for name in ('lip_top', 'mouth_l', 'lip_bottom', 'mouth_r')])
    between = np.stack([at['nose'], at['lip_top'], at['lip_bottom']])[:, 0]
    contour, inside = points[:4], points[4:]
    down = [at['hairline'][None], brows, eyes, np.concatenate([at['nose'][None], mouth]), at['chin'][None]]
    return bool(contour[:, 1].argmin() == 0 and contour[:, 1].argmax() == 2
                and contour[:, 0].argmin() == 1 and contour[:, 0].argmax() == 3
                and (np.diff(brows[:, 0]) > 0).all() and (np.diff(eyes[:, 0]) > 0).all()
                and at['mouth_l'][0] < between.min() and between.max() < at['mouth_r'][0] and at['nose'][1] < mouth[:, 1].min()
                and at['l_ear'][0] < inside[:, 0].min() and inside[:, 0].max() < at['r_ear'][0]
                and all(upper[:, 1].max() < lower[:, 1].min() for upper, lower in zip(down, down[1:])))


def judge(points: np.ndarray, rules: Filter) -> tuple[str, float, float]:
    """Aligned landmarks (17,2) -> why the image is left out ('' where it is kept), yaw in degrees, and the largest distance of
    the five points from the template in pixels."""
    own = five(points)
    distance = float(np.linalg.norm(own - np.array(CANVAS.points), axis=1).max())
    yaw = float(fit_pose(torch.from_numpy(own)[None].float(), MEAN_POINTS).angles[0, 0])
    outside = (own < 0).any() or (own > (CANVAS.width - 1, CANVAS.height - 1)).any()
    if not ordered(points):
        reason = 'landmarks out of order'
    elif outside or pi * distance ** 2 > rules.area * CANVAS.width * CANVAS.height:
        reason = 'far from the template'
    else:
        reason = 'side face' if abs(yaw) > rules.yaw else ''
    return reason, yaw, distance


def filter_images(root: str | Path, folder: str | Path, rules: Filter = Filter(), *,
                    progress: Callable[[int, int], None] = lambda done, total: None) -> Counter:
    """Fill `folder`; returns how many images were kept and dropped, by reason. What was interrupted is done again,
    in the same folder. ValueError where the data set has no landmarks of 17 points or the folder holds something else."""
    faces, folder = webcaricature(root), Path(folder).expanduser()
    landmarks = faces.columns['landmarks']
    if np.isnan(landmarks).all():
        raise ValueError(f'{root} has no FacialPoints, by which images are aligned and judged; unpack them there')
    check_writable(folder / REPORT)
    for inner in {path.parent for path in folder.rglob('.*.tmp')}:
        sweep(inner)
    made_of = json.dumps([str(faces.root.resolve()), faces.files.tolist(), asdict(rules)])
    begin(folder, hashlib.sha256(made_of.encode()).hexdigest())
    rows, dropped = [], defaultdict(list)
    for row, file in enumerate(map(str, faces.files)):
        image, found = _one(faces, row, rules)
        rows.append({'file': file, **found})
        if found['kept'] == 'yes':
            _write(folder, file, *image)
        elif image is not None and len(dropped[found['reason']]) < _SHOWN:
            dropped[found['reason']].append(image[0])
        progress(row + 1, len(faces))
    for name in ('EvaluationProtocols', 'Filenames'):
        for path in (faces.root / name).rglob('*'):
            if path.is_file():
                write_bytes(folder / path.relative_to(faces.root), path.read_bytes())
    counts = Counter(row['reason'] or 'kept' for row in rows)
    _report(folder, rules, rows, counts, faces.columns['drawing'])
    if dropped:
        blank, most = np.full((1, 1, 3), 250, np.uint8), max(map(len, dropped.values()))
        columns = [images + [blank] * (most - len(images)) for images in dropped.values()]
        sheet = contact_sheet([list(line) for line in zip(*columns)], [f'{name}: {counts[name]}' for name in dropped])
        write_bytes(folder / DROPPED, encode_png(sheet))
    return counts


def _one(faces, row: int, rules: Filter) -> tuple[tuple[np.ndarray, np.ndarray] | None, dict]:
    """`examined`, for a row of the data set."""
    try:
        return examined(faces.read(row)[0], faces.columns['landmarks'][row], rules)
    except BrokenImage:
        return None, _UNKNOWN | {'reason': 'unreadable'}


def examined(image: np.ndarray, points: np.ndarray, rules: Filter) -> tuple[tuple[np.ndarray, np.ndarray] | None, dict]:
    """An image (H,W,3) uint8 with landmarks (17,2), NaN where unknown -> the aligned image with its landmarks, or None where
    it cannot be aligned, and what the report says of it."""
    if np.isnan(points).any():
        return None, _UNKNOWN
    try:
        aligned = into_frame(image, None, five(points), None, CANVAS)[0].permute(1, 2, 0).numpy()
        matrix = matrix_into(CANVAS, image.shape[:2], five(points), None)
    except ValueError:  # all five in one point
        return None, _UNKNOWN | {'reason': 'landmarks out of order'}
    points = geometry.apply(matrix, torch.from_numpy(points)).numpy()
    reason, yaw, distance = judge(points, rules)
    return (aligned, points), {'kept': 'no' if reason else 'yes', 'reason': reason, 'yaw': f'{yaw:.1f}',
                               'distance': f'{distance:.1f}'}


def _write(folder: Path, file: str, image: np.ndarray, points: np.ndarray) -> None:
    encoded = io.BytesIO()
    Image.fromarray(image).save(encoded, format=Image.registered_extensions()[Path(file).suffix.lower()], quality=95,
                                  subsampling=0)
    write_bytes(folder / file, encoded.getvalue())
    text = (folder / 'FacialPoints' / Path(file).relative_to('OriginalImages')).with_suffix('.txt')
    write_bytes(text, ''.join(f'{x:.2f} {y:.2f}\n' for x, y in points).encode())


def _report(folder: Path, rules: Filter, rows: list[dict], counts: Counter, drawing: np.ndarray) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    write_bytes(folder / REPORT, text.getvalue().encode())
    kept = np.array([row['kept'] == 'yes' for row in rows])
    report = {'images': len(rows), 'settings': asdict(rules), 'kept': counts['kept'],
              'kept_photos': int((kept & ~drawing).sum()), 'kept_drawings': int((kept & drawing).sum()),
              'dropped': {reason: counts[reason] for reason in sorted(counts) if reason != 'kept'}}
    write_bytes(folder / 'report.json', json_text(report, indent=1).encode())
