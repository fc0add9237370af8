"""Preparation of an aligned data set from unaligned photos, with a report of the photos that are left out.

Photos are in one folder per identity or have names <identity>__<anything>; any other photo is a separate identity. The face of
each photo is detected, filtered by `Rules`, aligned to the canvas of CelebA and written in the layout `celeba` (img_align_celeba
and its lists) or `folder` (name/image.jpg and landmarks.csv). Each photo appends a line to report.csv, so that an interrupted run
resumes with the remaining photos.
"""
import csv
import hashlib
import io
import json
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from datasets.faces import BrokenImage, check_root, read_image, split_by_name
from datasets.identity_folder import LANDMARK_COLUMNS
from datasets.transforms.joint import into_frame, matrix_into
from models import geometry
from models.geometry import TEMPLATES
from models.image_io import list_images
from models.perception.detection import Detector, Face, build_detector
from models.storage.files import check_writable, sweep, write_bytes, write_errors
from models.storage.strict_json import json_text

LAYOUTS = ('celeba', 'folder')
_CANVAS = TEMPLATES['celeba']
_COLUMNS = ('file', 'kept', 'reason', 'output', 'identity', 'faces', 'score', *LANDMARK_COLUMNS[2:])


@dataclass(frozen=True)
class Rules:
    """Conditions on the faces of photos. Their names and values are part of report.json."""

    score: float = 0.95       # smallest confidence of the detector
    eyes: float = 20.0        # smallest distance between the eyes in pixels of the photo
    misfit: float = 0.25      # largest root mean square distance of the aligned landmarks from the template in eye distances
    several: str = 'largest'  # photos with more than one face: keep the 'largest' face or 'drop' the photo
    quality: int = 95         # of the JPEG files


@dataclass(frozen=True)
class _Task:
    """A photo to process."""

    source: Path
    file: str      # relative to the folder of photos
    identity: str
    folder: Path   # of the data set
    output: str    # relative to the folder of the data set


def select_face(faces: list[Face], rules: Rules) -> tuple[Face | None, str]:
    """The face to keep and an empty reason, or None and the reason for leaving the photo out."""
    if not faces:
        return None, 'no face'
    if len(faces) > 1 and rules.several == 'drop':
        return None, 'several faces'
    face = max(faces, key=lambda face: face.area)
    if face.score < rules.score:
        return None, 'low score'
    distance = float(np.linalg.norm(face.points[1] - face.points[0]))
    if distance < rules.eyes:
        return None, 'too small'
    aligned = geometry.apply(geometry.align(torch.as_tensor(face.points), _CANVAS), torch.as_tensor(face.points))
    target = _CANVAS.tensor()
    misfit = (aligned - target).square().sum(1).mean().sqrt() / (target[1] - target[0]).norm()
    if float(misfit) > rules.misfit:
        return None, 'landmarks unlike a face seen from the front'
    return face, ''


def prepare(photos: str | Path, folder: str | Path, *, layout: str = 'celeba', rules: Rules = Rules(), detector: str = 'mtcnn',
            workers: int = 0, progress: Callable[[int, int], None] = lambda done, total: None) -> Counter:
    """Write an aligned data set.

    Args:
        photos: folder of photos, searched recursively.
        folder: folder of the data set, outside `photos`.
        layout: 'celeba' or 'folder'.
        rules: conditions on the faces.
        detector: name in models.perception.detection.DETECTORS.
        workers: additional processes; 0 works in the calling process.
        progress: called with the number of finished photos and of all photos.

    Returns the number of photos that are kept (key 'kept') and that are left out for each reason. Raises ValueError if `photos`
    has no image, or if `folder` has a data set of other photos or settings, or other files.
    """
    photos, folder = check_root(photos), Path(folder).expanduser()
    if layout not in LAYOUTS:
        raise ValueError(f'unknown layout {layout!r}; known: {", ".join(LAYOUTS)}')
    files = list_images(photos, deep=True)
    if not files:
        raise ValueError(f'{photos} contains no image')
    if folder.resolve().is_relative_to(photos.resolve()):
        raise ValueError(f'{folder} lies inside {photos}, which is searched for photos; write to a folder outside it')
    tasks = _plan(photos, folder, files, layout)
    settings = {'layout': layout, 'detector': detector, **asdict(rules)}
    stamp = hashlib.sha256(json.dumps([str(photos.resolve()), files, settings]).encode()).hexdigest()
    report = folder / 'report.csv'
    finished = _resume(report, stamp)
    remaining = [task for task in tasks if task.file not in finished]
    with write_errors(report), report.open('a', newline='', encoding='utf-8') as handle:
        writer = csv.DictWriter(handle, _COLUMNS)
        for row in _process_all(remaining, rules, detector, workers):
            finished[row['file']] = row
            writer.writerow(row)
            handle.flush()
            progress(len(finished), len(tasks))
    rows = [finished[task.file] for task in tasks]
    write_bytes(report, _csv_bytes(rows))  # in the order of the photos, for any number of processes
    write_lists(folder, layout, [row for row in rows if row['kept'] == 'yes'])
    counts = Counter(row['reason'] or 'kept' for row in rows)
    summary = {'photos': len(rows), 'settings': settings, 'kept': counts['kept'],
              'dropped': {reason: counts[reason] for reason in sorted(counts) if reason != 'kept'}}
    write_bytes(folder / 'report.json', json_text(summary, indent=1).encode())
    return counts


def write_lists(folder: Path, layout: str, rows: list[dict]) -> None:
    """Write the lists of a layout from the rows of the kept photos in report.csv."""
    points = [[f'{float(row[name]):.2f}' for name in LANDMARK_COLUMNS[2:]] for row in rows]
    if layout == 'folder':
        text = io.StringIO()
        csv.writer(text).writerow(LANDMARK_COLUMNS)
        csv.writer(text).writerows([row['output'], row['identity'], *landmarks] for row, landmarks in zip(rows, points))
        write_bytes(folder / 'landmarks.csv', text.getvalue().encode())
        return
    number = {name: i for i, name in enumerate(sorted({row['identity'] for row in rows}), 1)}
    names = [Path(row['output']).name for row in rows]
    splits = list(split_by_name([row['identity'] for row in rows])) if rows else []
    lists = {
        'identity_CelebA.txt': [f'{name} {number[row["identity"]]}' for name, row in zip(names, rows)],
        'list_eval_partition.txt': [f'{name} {split}' for name, split in zip(names, splits)],
        'list_landmarks_align_celeba.txt': [str(len(rows)), ' '.join(LANDMARK_COLUMNS[2:]),
                                            *(f'{name} {" ".join(landmarks)}' for name, landmarks in zip(names, points))],
        'people.txt': [f'{i} {name}' for name, i in number.items()],
    }
    for name, lines in lists.items():
        write_bytes(folder / name, ('\n'.join(lines) + '\n').encode())


def _plan(photos: Path, folder: Path, files: list[str], layout: str) -> list[_Task]:
    """Identity and unique output file of each photo."""
    tasks: list[_Task] = []
    used: set[str] = set()
    for number, file in enumerate(files, 1):
        first, _, rest = file.partition('/')
        stem = Path(file).stem
        identity = first if rest else stem.split('__')[0]
        if layout == 'celeba':
            name = f'img_align_celeba/{number:06d}.jpg'
        else:
            name = f'{identity}/{Path(rest or file).with_suffix("").as_posix().replace("/", "_")}.jpg'
            name = name if name not in used else f'{name[:-4]}_{number}.jpg'
        used.add(name)
        tasks.append(_Task(photos / file, file, identity, folder, name))
    return tasks


def _resume(report: Path, stamp: str) -> dict[str, dict]:
    """file -> row of the photos that an interrupted run has finished, without an incomplete last line. Stamps a new folder."""
    folder = report.parent
    rows: dict[str, dict] = {}
    check_writable(report)
    for parent in {path.parent for path in folder.rglob('.*.tmp')}:
        sweep(parent)
    stamp_folder(folder, stamp)
    if report.is_file():
        complete_lines = report.read_text(encoding='utf-8').rpartition('\n')[0]
        rows = {row['file']: row for row in csv.DictReader(io.StringIO(complete_lines))
                if None not in row.values() and None not in row and (row['kept'] == 'no' or (folder / row['output']).is_file())}
    write_bytes(report, _csv_bytes(rows.values()))
    return rows


def stamp_folder(folder: Path, stamp: str) -> None:
    """Write a stamp, the hash of photos and settings, into an empty folder, or compare it with the stamp in the folder.

    Temporary files of interrupted writes are ignored. Raises ValueError if the stamps differ, or if a folder without a stamp is
    not empty.
    """
    stamp_file = folder / '.stamp'
    if stamp_file.is_file():
        if stamp_file.read_text(encoding='utf-8') != stamp:
            raise ValueError(f'{folder} was written from other photos or with other settings; give another folder')
    elif any(not path.name.startswith('.') and path.suffix != '.part' for path in folder.iterdir()):
        raise ValueError(f'{folder} is not empty; give a new folder')
    else:
        write_bytes(stamp_file, stamp.encode())


def _csv_bytes(rows: Iterable[dict]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _process_all(tasks: list[_Task], rules: Rules, detector: str, workers: int) -> Iterator[dict]:
    """Rows of report.csv in order of completion."""
    if not tasks:
        return
    if workers < 1:
        network = build_detector(detector)
        yield from (_process(task, rules, network) for task in tasks)
        return
    # Processes are spawned: torch does not support a fork of a process with running threads.
    with multiprocessing.get_context('spawn').Pool(workers, _init_worker, (rules, detector)) as pool:
        yield from pool.imap_unordered(_process_in_worker, tasks)


_worker_state: tuple[Rules, Detector]  # set in worker processes only


def _init_worker(rules: Rules, detector: str) -> None:
    global _worker_state
    torch.set_num_threads(1)
    _worker_state = rules, build_detector(detector)


def _process_in_worker(task: _Task) -> dict:
    return _process(task, *_worker_state)


def _process(task: _Task, rules: Rules, detector: Detector) -> dict:
    """Align and write one photo; returns its row of report.csv."""
    row: dict = dict.fromkeys(_COLUMNS, '') | {'file': task.file, 'kept': 'no', 'identity': task.identity, 'faces': 0}
    try:
        image = read_image(task.source)
    except BrokenImage:
        return row | {'reason': 'unreadable'}
    faces = detector.detect(image)
    face, reason = select_face(faces, rules)
    row['faces'] = len(faces)
    if face is None:
        return row | {'reason': reason}
    points = np.asarray(face.points, np.float32)
    aligned = into_frame(image, None, points, None, _CANVAS)[0]
    matrix = matrix_into(_CANVAS, image.shape[:2], points, None)
    coordinates = geometry.apply(matrix, torch.from_numpy(points)).flatten().tolist()
    _write_jpeg(aligned.permute(1, 2, 0).numpy(), task.folder / task.output, rules.quality)
    return row | {'kept': 'yes', 'output': task.output, 'score': f'{face.score:.4f}',
                  **{name: f'{value:.2f}' for name, value in zip(LANDMARK_COLUMNS[2:], coordinates)}}


def _write_jpeg(pixels: np.ndarray, path: Path, quality: int) -> None:
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, format='JPEG', quality=quality, subsampling=0)
    write_bytes(path, encoded.getvalue())
