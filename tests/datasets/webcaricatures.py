"""A small WebCaricature in its official layout, drawn by the suite: photos, and drawings that exaggerate the same people."""
from datasets.synthetic import render, sample_attributes, sample_identity
from datasets.webcaricature import FOLDS, seventeen
from tests.datasets.layouts import write


def name_of(person):
    return f'Drawn Person {person:02d}'


def webcaricatures(root, people=20, each=2, *, size=48, yaw=None):
    """`each` photos and as many drawings of each of `people` persons. The first half is view 1's for training, and fold K of
    view 2 holds every tenth person. yaw: of every photo, in degrees."""
    for person in range(people):
        for number in range(1, each + 1):
            for kind, domain in (('P', 'photo'), ('C', 'drawing')):
                attributes = sample_attributes(0, (2 * person + (kind == 'C')) * each + number)
                attributes[0] = 0 if yaw is None else yaw
                drawn = render(sample_identity(0, person), attributes, size, domain=domain)
                stem = f'{name_of(person)}/{kind}{number:05d}'
                write(root / f'OriginalImages/{stem}.jpg', drawn.image, quality=95)
                lines = '\n'.join(f'{x:.2f} {y:.2f}' for x, y in seventeen(drawn.landmarks))
                _text(root / f'FacialPoints/{stem}.txt', [lines])
        for kind in 'PC':
            _text(root / f'Filenames/{name_of(person)}/file_{kind.lower()}.txt',
                  [f'{kind}{number:05d}' for number in range(1, each + 1)])
    half = people // 2
    views = {'View1_DevTrain': [range(half)], 'View1_DevTest': [range(half, people)],
             'View2': [range(fold, people, FOLDS) for fold in range(FOLDS)]}
    for view, parts in views.items():
        folder = root / 'EvaluationProtocols/FaceVerification'
        _text(folder / f'UnRestricted/UnRestricted{view}.txt',
              [line for part in parts for line in (str(len(part)), *(_counted(person, each) for person in part))])
        _text(folder / f'Restricted/Restricted{view}.txt', [line for part in parts for line in _pairs(list(part), each)])
    for name, train in (('_dev', set(range(half))), *((str(fold + 1), set(range(people)) - set(range(fold, people, FOLDS)))
                                                      for fold in range(FOLDS))):
        folder, test = root / 'EvaluationProtocols/FaceIdentification', sorted(set(range(people)) - train)
        _text(folder / f'FR_Train{name}.txt', [_counted(person, each) for person in sorted(train)])
        for kind, probe, shown in (('C2P', 'C', 'P'), ('P2C', 'P', 'C')):
            _text(folder / kind / f'FR_Gallery_{kind}{name}.txt', [f'{name_of(person)}\t{shown}00001' for person in test])
            _text(folder / kind / f'FR_Probe_{kind}{name}.txt',
                  [f'{name_of(person)}\t{probe}{number:05d}' for person in test for number in range(1, each + 1)])
    return root


def _counted(person, each):
    return f'{name_of(person)}\t{each}\t{each}'


def _pairs(part, each):
    """As many matched as mismatched pairs, a caricature before a photo."""
    matched = [f'{name_of(person)}\tC{number:05d}\tP{number:05d}' for person in part for number in range(1, each + 1)]
    others = [f'{name_of(person)}\tC{number:05d}\t{name_of(part[(place + 1) % len(part)])}\tP00001'
              for place, person in enumerate(part) for number in range(1, each + 1)]
    return [str(len(matched)), *matched, *others]


def _text(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('\n'.join(lines) + '\n')
