"""What holds for every input, however broken: it is read, or refused in one sentence that the suite itself wrote. No other
exception, no crash, no output besides, no more than 60 seconds and 4 GB, no file written or removed outside the scratch folder,
and no program or function that the input names is run.
"""
import multiprocessing
import os
import resource
import signal
import sys
import traceback
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from experiments.training.errors import RunError
from models.weights import WeightsError
from tests.fuzz.mutators import BINARY, mutate

ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS, BYTES = 60, 4 << 30
REFUSALS = (ValueError, RunError, WeightsError)
_PROGRAMS = ('os.system', 'os.exec', 'os.posix_spawn', 'os.startfile', 'subprocess.Popen', 'socket.connect')
_REMOVALS = ('os.remove', 'os.rename', 'os.rmdir', 'shutil.rmtree', 'os.truncate')
_NAMES = ('torch', 'collections', 'builtins.set', '_codecs.encode', 'numpy')  # of harmless classes that pickles of tensors name


def _watch(scratch: Path, events: list[str]) -> None:
    """Note in `events` what the interpreter does that no reader should."""
    def inside(path) -> bool:
        return isinstance(path, int) or os.path.abspath(os.fsdecode(path)).startswith((str(scratch), '/dev/null'))

    def hook(event: str, args: tuple) -> None:
        if event in _PROGRAMS:
            events.append(f'{event}{args}')
        elif event == 'pickle.find_class' and not f'{args[0]}.{args[1]}'.startswith(_NAMES):
            events.append(f'unpickles {args[0]}.{args[1]}')
        elif event == 'open' and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR) and not inside(args[0]):
            events.append(f'writes {args[0]}')
        elif event in _REMOVALS and not inside(args[0]):
            events.append(f'{event} {args[0]}')

    sys.addaudithook(hook)


def _sentence(error: Exception) -> str | None:
    """What is wrong with a refusal, or None."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    raised = frame.filename.startswith(str(ROOT)) and frame.line.startswith('raise')
    if not isinstance(error, REFUSALS) or not raised:
        return ''.join(traceback.format_exception(error)[-4:])
    text = str(error)
    if '\n' in text or not text.isprintable() or len(text) > 2000 or ' ' not in text:
        return f'no sentence: {text[:300]!r}'
    return None


def _judged(action: Callable[[], object], events: list[str], output: Path) -> tuple[str, str | None]:
    """('read' or 'refused', what broke the contract or None) of an action in this process."""
    events.clear()
    os.truncate(output, 0)
    signal.alarm(SECONDS)
    try:
        action()
        result, fault = 'read', None
    except Exception as error:
        result, fault = 'refused', _sentence(error)
    signal.alarm(0)
    done, printed = list(events), output.read_bytes() if result == 'refused' else b''
    if fault is None and done:
        fault = f'does what no reader should: {done[:3]}'
    if fault is None and printed:
        fault = f'prints besides: {printed[:300]!r}'
    return result, fault


def _child(action: Callable[[int], object], seeds: range, scratch: Path, pipe) -> None:
    events: list[str] = []
    output = scratch / '.output'
    os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    with open('/proc/self/statm') as statm:
        size = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + BYTES, size + BYTES))
    _watch(scratch, events)
    for seed in seeds:
        pipe.send(_judged(lambda seed=seed: action(seed), events, output))
    pipe.close()
    os._exit(0)


def outcomes(action: Callable[[int], object], count: int, scratch: Path) -> Iterator[tuple[str, str | None]]:
    """('read', 'refused' or 'ended', what broke the contract or None) of action(0), action(1), ... in a forked process; where
    one ends it, another process goes on with the next."""
    torch.set_num_threads(1)  # the threads of a pool do not exist in a forked process
    done = 0
    while done < count:
        here, there = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.get_context('fork').Process(target=_child, args=(action, range(done, count), scratch, there))
        process.start()
        there.close()
        try:
            while done < count:
                yield here.recv()
                done += 1
        except EOFError:
            process.join()
            yield 'ended', f'the process ended with {process.exitcode} (-14: more than {SECONDS} s)'
            done += 1
        process.join()


def outcome(action: Callable[[], object], scratch: Path) -> tuple[str, str | None]:
    """As `outcomes`, of one action."""
    return next(iter(outcomes(lambda _: action(), 1, scratch)))


def check(kind: str, data: bytes, read: Callable[[Path], object], path: Path, count: int, mutators: tuple = BINARY) -> None:
    """Let `read` read `count` mutations of `data` from `path`; AssertionError names the seeds that broke the contract. With the
    environment variable FUZZ_KEEP, a folder, their inputs are kept there."""
    def mutated(seed: int) -> bytes:
        return mutate(data, np.random.default_rng([zlib.crc32(kind.encode()), seed]), mutators)

    def act(seed: int) -> None:
        path.write_bytes(mutated(seed))
        try:
            read(path)
        finally:
            assert path.read_bytes() == mutated(seed), 'the reader changes its input'

    faults, counts = [], Counter()
    for seed, (result, fault) in enumerate(outcomes(act, count, path.parent)):
        counts[result] += 1
        if fault is not None:
            faults.append(f'seed {seed}: {fault}')
            if folder := os.environ.get('FUZZ_KEEP'):
                (Path(folder) / f'{kind.replace("/", "-")}-{seed}{path.suffix}').write_bytes(mutated(seed))
    print(f'{kind}: {dict(counts)}, {len(faults)} broke the contract')
    assert not faults, f'{kind}: {len(faults)} of {count} inputs break the contract\n' + '\n'.join(faults[:5])
