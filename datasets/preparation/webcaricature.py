"""Alignment and filtering of WebCaricature for photo-drawing translation.

The output has the same layout, without images whose landmarks are invalid, whose alignment is poor, or whose face is turned to
the side. Five landmarks are mapped by a similarity to a canvas of 200x232 pixels. The output folder has report.csv, report.json
and dropped.png, a contact sheet of left-out images with a column per reason. The lists are copied; if report.csv exists,
datasets.webcaricature accepts lists that name absent images.
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

from datasets.faces import BrokenImage, Faces
from datasets.preparation.photos import stamp_folder
from datasets.synthetic.mean_face import MEAN_POINTS
from datasets.transforms.joint import into_frame, matrix_into
from datasets.webcaricature import LANDMARKS, five_landmarks, webcaricature
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
_NO_LANDMARKS = {'kept': 'no', 'reason': 'no landmarks', 'yaw': '', 'distance': ''}
_IMAGES_PER_REASON = 8  # on the contact sheet

Aligned = tuple[np.ndarray, np.ndarray]  # image (232,200,3) uint8 and landmarks (17,2)


@dataclass(frozen=True)
class Filter:
    """Conditions on aligned images. Their names and values are part of report.json."""

    area: float = 0.10  # largest fraction of the canvas inside a circle around a template point through the aligned point
    yaw: float = 30.0   # largest absolute yaw in degrees


def is_ordered(points: np.ndarray) -> bool:
    """Whether landmarks (17,2) are arranged as in a face: hairline, brows, eyes, nose and mouth, chin from top to bottom, all
    between the ears, and brows, eyes and corners of the mouth from left to right."""
    at = dict(zip(LANDMARKS, points))
    brows, eyes = points[4:8], points[8:12]
    mouth = np.stack([at[name] for name in ('lip_top', 'mouth_l', 'lip_bottom', 'mouth_r')])
    middle_x = np.stack([at['nose'], at['lip_top'], at['lip_bottom']])[:, 0]
    contour, inner = points[:4], points[4:]
    rows = [at['hairline'][None], brows, eyes, np.concatenate([at['nose'][None], mouth]), at['chin'][None]]
    return bool(contour[:, 1].argmin() == 0 and contour[:, 1].argmax() == 2
                and contour[:, 0].argmin() == 1 and contour[:, 0].argmax() == 3
                and (np.diff(brows[:, 0]) > 0).all() and (np.diff(eyes[:, 0]) > 0).all()
                and at['mouth_l'][0] < middle_x.min() and middle_x.max() < at['mouth_r'][0] and at['nose'][1] < mouth[:, 1].min()
                and at['l_ear'][0] < inner[:, 0].min() and inner[:, 0].max() < at['r_ear'][0]
                and all(upper[:, 1].max() < lower[:, 1].min() for upper, lower in zip(rows, rows[1:])))


def assess(points: np.ndarray, rules: Filter) -> tuple[str, float, float]:
    """Aligned landmarks (17,2) -> the reason for leaving the image out (empty if it is kept), yaw in degrees, and the largest
    distance of the five points from the template in pixels."""
    positions = five_landmarks(points)
    distance = float(np.linalg.norm(positions - np.array(CANVAS.points), axis=1).max())
    yaw = float(fit_pose(torch.from_numpy(positions)[None].float(), MEAN_POINTS).angles[0, 0])
    outside = (positions < 0).any() or (positions > (CANVAS.width - 1, CANVAS.height - 1)).any()
    if not is_ordered(points):
        reason = 'landmarks out of order'
    elif outside or pi * distance ** 2 > rules.area * CANVAS.width * CANVAS.height:
        reason = 'far from the template'
    else:
        reason = 'side face' if abs(yaw) > rules.yaw else ''
    return reason, yaw, distance


def filter_images(root: str | Path, folder: str | Path, rules: Filter = Filter(), *,
                  progress: Callable[[int, int], None] = lambda done, total: None) -> Counter:
    """Write the aligned and filtered data set. An interrupted run restarts in the same folder.

    Args:
        root: folder of WebCaricature with OriginalImages and FacialPoints.
        folder: folder of the filtered data set.
        rules: conditions on aligned images.
        progress: called with the number of finished images and of all images.

    Returns the number of images that are kept (key 'kept') and that are left out for each reason. Raises ValueError if the data
    set has no landmarks, or if `folder` has a data set of other images or settings, or other files.
    """
    faces, folder = webcaricature(root), Path(folder).expanduser()
    landmarks = faces.columns['landmarks']
    if np.isnan(landmarks).all():
        raise ValueError(f'{root} has no FacialPoints, from which images are aligned and filtered; unpack them there')
    check_writable(folder / REPORT)
    for parent in {path.parent for path in folder.rglob('.*.tmp')}:
        sweep(parent)
    inputs = json.dumps([str(faces.root.resolve()), faces.files.tolist(), asdict(rules)])
    stamp_folder(folder, hashlib.sha256(inputs.encode()).hexdigest())
    rows: list[dict[str, str]] = []
    dropped: defaultdict[str, list[np.ndarray]] = defaultdict(list)
    for row, file in enumerate(map(str, faces.files)):
        aligned, result = _process(faces, row, rules)
        rows.append({'file': file, **result})
        if aligned is not None and result['kept'] == 'yes':
            _write(folder, file, *aligned)
        elif aligned is not None and len(dropped[result['reason']]) < _IMAGES_PER_REASON:
            dropped[result['reason']].append(aligned[0])
        progress(row + 1, len(faces))
    for name in ('EvaluationProtocols', 'Filenames'):
        for path in (faces.root / name).rglob('*'):
            if path.is_file():
                write_bytes(folder / path.relative_to(faces.root), path.read_bytes())
    counts = Counter(row['reason'] or 'kept' for row in rows)
    _report(folder, rules, rows, counts, faces.columns['drawing'])
    if dropped:
        blank, num_rows = np.full((1, 1, 3), 250, np.uint8), max(map(len, dropped.values()))
        columns = [images + [blank] * (num_rows - len(images)) for images in dropped.values()]
        sheet = contact_sheet([list(line) for line in zip(*columns)], [f'{reason}: {counts[reason]}' for reason in dropped])
        write_bytes(folder / DROPPED, encode_png(sheet))
    return counts


def _process(faces: Faces, row: int, rules: Filter) -> tuple[Aligned | None, dict[str, str]]:
    """`align_and_assess` for a row of the data set."""
    try:
        return align_and_assess(faces.read(row)[0], faces.columns['landmarks'][row], rules)
    except BrokenImage:
        return None, _NO_LANDMARKS | {'reason': 'unreadable'}


def align_and_assess(image: np.ndarray, points: np.ndarray, rules: Filter) -> tuple[Aligned | None, dict[str, str]]:
    """Align an image (H,W,3) uint8 with landmarks (17,2), NaN where unknown.

    Returns the aligned image (232,200,3) uint8 with its landmarks (17,2), or None if it cannot be aligned, and the columns of
    report.csv except `file`.
    """
    if np.isnan(points).any():
        return None, _NO_LANDMARKS
    try:
        aligned = into_frame(image, None, five_landmarks(points), None, CANVAS)[0].permute(1, 2, 0).numpy()
        matrix = matrix_into(CANVAS, image.shape[:2], five_landmarks(points), None)
    except ValueError:  # all five points coincide
        return None, _NO_LANDMARKS | {'reason': 'landmarks out of order'}
    points = geometry.apply(matrix, torch.from_numpy(points)).numpy()
    reason, yaw, distance = assess(points, rules)
    return (aligned, points), {'kept': 'no' if reason else 'yes', 'reason': reason, 'yaw': f'{yaw:.1f}',
                               'distance': f'{distance:.1f}'}


def _write(folder: Path, file: str, image: np.ndarray, points: np.ndarray) -> None:
    """Write an aligned image and its landmarks in the layout of WebCaricature."""
    encoded = io.BytesIO()
    image_format = Image.registered_extensions()[Path(file).suffix.lower()]
    Image.fromarray(image).save(encoded, format=image_format, quality=95, subsampling=0)
    write_bytes(folder / file, encoded.getvalue())
    text = (folder / 'FacialPoints' / Path(file).relative_to('OriginalImages')).with_suffix('.txt')
    write_bytes(text, ''.join(f'{x:.2f} {y:.2f}\n' for x, y in points).encode())


def _report(folder: Path, rules: Filter, rows: list[dict[str, str]], counts: Counter, is_drawing: np.ndarray) -> None:
    """Write report.csv and report.json; is_drawing (N,) bool."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    write_bytes(folder / REPORT, text.getvalue().encode())
    kept = np.array([row['kept'] == 'yes' for row in rows])
    report = {'images': len(rows), 'settings': asdict(rules), 'kept': counts['kept'],
              'kept_photos': int((kept & ~is_drawing).sum()), 'kept_drawings': int((kept & is_drawing).sum()),
              'dropped': {reason: counts[reason] for reason in sorted(counts) if reason != 'kept'}}
    write_bytes(folder / 'report.json', json_text(report, indent=1).encode())
