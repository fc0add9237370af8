"""Rendered data sets in the official layout of WebCaricature: photos and exaggerated drawings of the same identities."""
from pathlib import Path

from datasets.synthetic import render, sample_attributes, sample_identity
from datasets.webcaricature import FOLDS, landmarks_from_68
from tests.datasets.layouts import write


def name_of(label: int) -> str:
    return f'Identity {label:02d}'


def webcaricatures(root: Path, num_identities: int = 20, each: int = 2, *, size: int = 48, yaw: float | None = None) -> Path:
    """`each` photos and `each` drawings of each identity. The first half of the identities is for training in view 1; fold K of
    view 2 holds every tenth identity. yaw: of all images, in degrees."""
    for label in range(num_identities):
        for number in range(1, each + 1):
            for kind, domain in (('P', 'photo'), ('C', 'drawing')):
                attributes = sample_attributes(0, (2 * label + (kind == 'C')) * each + number)
                attributes[0] = 0 if yaw is None else yaw
                rendering = render(sample_identity(0, label), attributes, size, domain=domain)
                stem = f'{name_of(label)}/{kind}{number:05d}'
                write(root / f'OriginalImages/{stem}.jpg', rendering.image, quality=95)
                lines = '\n'.join(f'{x:.2f} {y:.2f}' for x, y in landmarks_from_68(rendering.landmarks))
                _write_lines(root / f'FacialPoints/{stem}.txt', [lines])
        for kind in 'PC':
            _write_lines(root / f'Filenames/{name_of(label)}/file_{kind.lower()}.txt',
                         [f'{kind}{number:05d}' for number in range(1, each + 1)])
    _write_verification(root / 'EvaluationProtocols/FaceVerification', num_identities, each)
    _write_identification(root / 'EvaluationProtocols/FaceIdentification', num_identities, each)
    return root


def _write_verification(folder: Path, num_identities: int, each: int) -> None:
    half = num_identities // 2
    views = {'View1_DevTrain': [range(half)], 'View1_DevTest': [range(half, num_identities)],
             'View2': [range(fold, num_identities, FOLDS) for fold in range(FOLDS)]}
    for view, parts in views.items():
        _write_lines(folder / f'UnRestricted/UnRestricted{view}.txt',
                     [line for part in parts for line in (str(len(part)), *(_counted(label, each) for label in part))])
        _write_lines(folder / f'Restricted/Restricted{view}.txt', [line for part in parts for line in _pairs(list(part), each)])


def _write_identification(folder: Path, num_identities: int, each: int) -> None:
    labels = set(range(num_identities))
    folds = {str(fold + 1): labels - set(range(fold, num_identities, FOLDS)) for fold in range(FOLDS)}
    for name, train in ({'_dev': set(range(num_identities // 2))} | folds).items():
        test = sorted(labels - train)
        _write_lines(folder / f'FR_Train{name}.txt', [_counted(label, each) for label in sorted(train)])
        for kind, probe, gallery in (('C2P', 'C', 'P'), ('P2C', 'P', 'C')):
            _write_lines(folder / kind / f'FR_Gallery_{kind}{name}.txt', [f'{name_of(label)}\t{gallery}00001' for label in test])
            _write_lines(folder / kind / f'FR_Probe_{kind}{name}.txt',
                         [f'{name_of(label)}\t{probe}{number:05d}' for label in test for number in range(1, each + 1)])


def _counted(label: int, each: int) -> str:
    return f'{name_of(label)}\t{each}\t{each}'


def _pairs(part: list[int], each: int) -> list[str]:
    """As many matched as mismatched pairs, a caricature before a photo."""
    matched = [f'{name_of(label)}\tC{number:05d}\tP{number:05d}' for label in part for number in range(1, each + 1)]
    mismatched = [f'{name_of(label)}\tC{number:05d}\t{name_of(part[(place + 1) % len(part)])}\tP00001'
                  for place, label in enumerate(part) for number in range(1, each + 1)]
    return [str(len(matched)), *matched, *mismatched]


def _write_lines(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('\n'.join(lines) + '\n')
