"""Photos as they are found -> an aligned data set, with a word on every photo that was left out.

The photos may lie in a folder per person, or be called <person>__<anything>; any other photo is a person of its own. Each is
detected, judged by `Rules`, aligned into the canvas of CelebA and written in the layout `celeba` (img_align_celeba and its
lists) or `folder` (name/image.jpg and landmarks.csv). report.csv grows by a line as each photo is done, so that a run that
was interrupted goes on with the rest.
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

from datasets.faces import BrokenImage, check_root, images_in, read_image, split_by_name
from datasets.identity_folder import LANDMARK_COLUMNS
from datasets.transforms.joint import into_frame, matrix_into
from models import geometry
from models.geometry import TEMPLATES
from models.perception.detection import build_detector
from models.storage.files import check_writable, sweep, write_bytes, write_errors
from models.storage.strict_json import json_text

LAYOUTS = ('celeba', 'folder')
_CANVAS = TEMPLATES['celeba']
_COLUMNS = ('file', 'kept', 'reason', 'output', 'identity', 'faces', 'score', *LANDMARK_COLUMNS[2:])


@dataclass(frozen=True)
class Rules:
    """What a photo must fulfil. score: least confidence of the detector; eyes: least distance between the eyes in pixels of
    the photo; misfit: largest root mean square distance of the aligned landmarks from the template's, in eye distances, which
    leaves out profiles and slips of the detector; several: what to do with more than one face, take the `largest` or `drop`;
    quality: of the JPEG files written."""

    score: float = 0.95
    eyes: float = 20.0
    misfit: float = 0.25
    several: str = 'largest'
    quality: int = 95


@dataclass(frozen=True)
class _Task:
    source: Path
    file: str
    identity: str
    output: Path
    name: str


def judge(faces: list, rules: Rules) -> tuple[object | None, str]:
    """The face to keep and '', or None and the reason why there is none."""
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
    if float((aligned - target).square().sum(1).mean().sqrt() / (target[1] - target[0]).norm()) > rules.misfit:
        return None, 'landmarks unlike a face seen from the front'
    return face, ''


def prepare(photos: str | Path, folder: str | Path, *, layout: str = 'celeba', rules: Rules = Rules(), detector: str = 'mtcnn',
            workers: int = 0, progress: Callable[[int, int], None] = lambda done, total: None) -> Counter:
    """Fill `folder`; returns how many photos were kept and dropped, by reason. ValueError where there is nothing to do, or
    where the folder belongs to other photos or other settings."""
    photos, folder = check_root(photos), Path(folder).expanduser()
    if layout not in LAYOUTS:
        raise ValueError(f'unknown layout {layout!r}; known: {", ".join(LAYOUTS)}')
    files = images_in(photos, deep=True)
    if not files:
        raise ValueError(f'{photos} holds no image')
    if folder.resolve().is_relative_to(photos.resolve()):
        raise ValueError(f'{folder} lies inside {photos} and would be taken for photos; write elsewhere')
    tasks = _plan(photos, folder, files, layout)
    settings = {'layout': layout, 'detector': detector, **asdict(rules)}
    stamp = hashlib.sha256(json.dumps([str(photos.resolve()), files, settings]).encode()).hexdigest()
    report = folder / 'report.csv'
    rows = _finished(report, stamp)
    todo = [task for task in tasks if task.file not in rows]
    with write_errors(report), report.open('a', newline='', encoding='utf-8') as handle:
        writer = csv.DictWriter(handle, _COLUMNS)
        for row in _results(todo, rules, detector, workers):
            rows[row['file']] = row
            writer.writerow(row)
            handle.flush()
            progress(len(rows), len(tasks))
    rows = [rows[task.file] for task in tasks]
    write_bytes(report, _table(rows))  # in the order of the photos, however many processes there were
    write_lists(folder, layout, [row for row in rows if row['kept'] == 'yes'])
    counts = Counter(row['reason'] or 'kept' for row in rows)
    summary = {'photos': len(rows), 'settings': settings, 'kept': counts['kept'],
              'dropped': {reason: counts[reason] for reason in sorted(counts) if reason != 'kept'}}
    write_bytes(folder / 'report.json', json_text(summary, indent=1).encode())
    return counts


def write_lists(folder: Path, layout: str, rows: list[dict]) -> None:
    """The lists that the layout wants, from the rows of report.csv that were kept."""
    points = [[f'{float(row[name]):.2f}' for name in LANDMARK_COLUMNS[2:]] for row in rows]
    if layout == 'folder':
        text = io.StringIO()
        csv.writer(text).writerow(LANDMARK_COLUMNS)
        csv.writer(text).writerows([row['output'], row['identity'], *five] for row, five in zip(rows, points))
        write_bytes(folder / 'landmarks.csv', text.getvalue().encode())
        return
    people = sorted({row['identity'] for row in rows})
    number = {name: i for i, name in enumerate(people, 1)}
    names = [Path(row['output']).name for row in rows]
    splits = split_by_name([row['identity'] for row in rows]) if rows else []
    lists = {
        'identity_CelebA.txt': [f'{name} {number[row["identity"]]}' for name, row in zip(names, rows)],
        'list_eval_partition.txt': [f'{name} {split}' for name, split in zip(names, splits)],
        'list_landmarks_align_celeba.txt': [str(len(rows)), ' '.join(LANDMARK_COLUMNS[2:]),
                                            *(f'{name} {" ".join(five)}' for name, five in zip(names, points))],
        'people.txt': [f'{i} {name}' for name, i in number.items()],
    }
    for name, lines in lists.items():
        write_bytes(folder / name, ('\n'.join(lines) + '\n').encode())


def _plan(photos: Path, folder: Path, files: list[str], layout: str) -> list[_Task]:
    tasks, taken = [], set()
    for number, file in enumerate(files, 1):
        first, _, rest = file.partition('/')
        stem = Path(file).stem
        identity = first if rest else stem.split('__')[0]
        if layout == 'celeba':
            name = f'img_align_celeba/{number:06d}.jpg'
        else:
            name = f'{identity}/{Path(rest or file).with_suffix("").as_posix().replace("/", "_")}.jpg'
            name = name if name not in taken else f'{name[:-4]}_{number}.jpg'
        taken.add(name)
        tasks.append(_Task(photos / file, file, identity, folder, name))
    return tasks


def _finished(report: Path, stamp: str) -> dict[str, dict]:
    """Rows of an earlier attempt in the folder of the report; begins it where there is none. A last line without its end is
    dropped."""
    folder, rows = report.parent, {}
    check_writable(report)
    for inner in {path.parent for path in folder.rglob('.*.tmp')}:
        sweep(inner)
    begin(folder, stamp)
    if report.is_file():
        whole = report.read_text(encoding='utf-8').rpartition('\n')[0]
        rows = {row['file']: row for row in csv.DictReader(io.StringIO(whole))
                if None not in row.values() and None not in row and (row['kept'] == 'no' or (folder / row['output']).is_file())}
    write_bytes(report, _table(rows.values()))
    return rows


def begin(folder: Path, stamp: str) -> None:
    """Note in the folder what it is made of; ValueError where it was made of something else or holds other files."""
    note = folder / '.stamp'
    if note.is_file():
        if note.read_text(encoding='utf-8') != stamp:
            raise ValueError(f'{folder} was made from other photos or with other settings; give another folder')
    elif any(not path.name.startswith('.') and path.suffix != '.part' for path in folder.iterdir()):  # those are leftovers
        raise ValueError(f'{folder} is not empty; give a new folder')
    else:
        write_bytes(note, stamp.encode())


def _table(rows: Iterable[dict]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _results(tasks: list[_Task], rules: Rules, detector: str, workers: int) -> Iterator[dict]:
    if workers < 1 or not tasks:
        found = build_detector(detector) if tasks else None
        yield from (_one(task, rules, found) for task in tasks)
        return
    # A fresh interpreter per worker: networks do not survive a fork of a process whose threads are running.
    with multiprocessing.get_context('spawn').Pool(workers, _begin, (rules, detector)) as pool:
        yield from pool.imap_unordered(_in_worker, tasks)


def _begin(rules: Rules, detector: str) -> None:
    torch.set_num_threads(1)
    _in_worker.state = rules, build_detector(detector)


def _in_worker(task: _Task) -> dict:
    return _one(task, *_in_worker.state)


def _one(task: _Task, rules: Rules, detector) -> dict:
    row = dict.fromkeys(_COLUMNS, '') | {'file': task.file, 'kept': 'no', 'identity': task.identity, 'faces': 0}
    try:
        image = read_image(task.source)
    except BrokenImage:
        return row | {'reason': 'unreadable'}
    faces = detector.detect(image)
    face, reason = judge(faces, rules)
    row['faces'] = len(faces)
    if face is None:
        return row | {'reason': reason}
    points = np.asarray(face.points, np.float32)
    aligned = into_frame(image, None, points, None, _CANVAS)[0]
    points = geometry.apply(matrix_into(_CANVAS, image.shape[:2], points, None), torch.from_numpy(points)).flatten().tolist()
    _save(aligned.permute(1, 2, 0).numpy(), task.output / task.name, rules.quality)
    return row | {'kept': 'yes', 'output': task.name, 'score': f'{face.score:.4f}',
                  **{name: f'{value:.2f}' for name, value in zip(LANDMARK_COLUMNS[2:], points)}}


def _save(pixels: np.ndarray, path: Path, quality: int) -> None:
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, format='JPEG', quality=quality, subsampling=0)
    write_bytes(path, encoded.getvalue())
