"""Contract of readers for arbitrary input.

A reader reads the input or raises one of REFUSALS with one sentence of the suite. It raises no other exception, does not crash,
prints nothing, stays below MAX_SECONDS and MAX_BYTES, writes or removes no file outside of the scratch folder, and runs no
program or function that the input names.
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
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch

from experiments.training.errors import RunError
from models.weights import WeightsError
from tests.fuzz.mutators import BINARY, mutate

ROOT = Path(__file__).resolve().parent.parent.parent
MAX_SECONDS, MAX_BYTES = 60, 4 << 30  # of a read: wall time, and memory beyond that of the process at its start
REFUSALS = (ValueError, RunError, WeightsError)
MAX_MESSAGE_CHARS = 2000
_PROGRAMS = ('os.system', 'os.exec', 'os.posix_spawn', 'os.startfile', 'subprocess.Popen', 'socket.connect')
_REMOVALS = ('os.remove', 'os.rename', 'os.rmdir', 'shutil.rmtree', 'os.truncate')
_ALLOWED_CLASSES = ('torch', 'collections', 'builtins.set', '_codecs.encode', 'numpy')  # harmless classes in pickles of tensors

Outcome = tuple[str, str | None]  # ('read', 'refused' or 'ended', violation of the contract or None)


def _record_violations(scratch: Path, violations: list[str]) -> None:
    """Append to `violations` the forbidden operations of this process, by an audit hook."""
    def in_scratch(path) -> bool:
        return isinstance(path, int) or os.path.abspath(os.fsdecode(path)).startswith((str(scratch), '/dev/null'))

    def hook(event: str, args: tuple) -> None:
        if event in _PROGRAMS:
            violations.append(f'{event}{args}')
        elif event == 'pickle.find_class' and not f'{args[0]}.{args[1]}'.startswith(_ALLOWED_CLASSES):
            violations.append(f'unpickles {args[0]}.{args[1]}')
        elif event == 'open' and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR) and not in_scratch(args[0]):
            violations.append(f'writes {args[0]}')
        elif event in _REMOVALS and not in_scratch(args[0]):
            violations.append(f'{event} {args[0]}')

    sys.addaudithook(hook)


def _refusal_violation(error: Exception) -> str | None:
    """Why an exception is no valid refusal, or None."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    raised_by_suite = frame.filename.startswith(str(ROOT)) and frame.line.startswith('raise')
    if not isinstance(error, REFUSALS) or not raised_by_suite:
        return ''.join(traceback.format_exception(error)[-4:])
    text = str(error)
    if '\n' in text or not text.isprintable() or len(text) > MAX_MESSAGE_CHARS or ' ' not in text:
        return f'no sentence: {text[:300]!r}'
    return None


def _outcome_in_process(action: Callable[[], object], violations: list[str], output: Path) -> Outcome:
    """The outcome of an action in this process, whose stderr goes to `output`."""
    violations.clear()
    os.truncate(output, 0)
    signal.alarm(MAX_SECONDS)
    try:
        action()
        result, violation = 'read', None
    except Exception as error:
        result, violation = 'refused', _refusal_violation(error)
    signal.alarm(0)
    recorded, printed = list(violations), output.read_bytes() if result == 'refused' else b''
    if violation is None and recorded:
        violation = f'forbidden operations: {recorded[:3]}'
    if violation is None and printed:
        violation = f'prints: {printed[:300]!r}'
    return result, violation


def _child(action: Callable[[int], object], seeds: range, scratch: Path, pipe: Connection) -> None:
    """Send the outcome of action(seed) for each seed, from a forked process."""
    violations: list[str] = []
    output = scratch / '.output'
    os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    with open('/proc/self/statm') as statm:
        size = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MAX_BYTES, size + MAX_BYTES))
    _record_violations(scratch, violations)
    for seed in seeds:
        pipe.send(_outcome_in_process(lambda seed=seed: action(seed), violations, output))
    pipe.close()
    os._exit(0)


def outcomes(action: Callable[[int], object], count: int, scratch: Path) -> Iterator[Outcome]:
    """The outcomes of action(0), action(1), ... in a forked process; where one ends it, another process continues with the
    next."""
    torch.set_num_threads(1)  # the threads of a pool do not exist in a forked process
    finished = 0
    while finished < count:
        receiver, sender = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.get_context('fork').Process(target=_child,
                                                              args=(action, range(finished, count), scratch, sender))
        process.start()
        sender.close()
        try:
            while finished < count:
                yield receiver.recv()
                finished += 1
        except EOFError:
            process.join()
            yield 'ended', f'the process ended with {process.exitcode} (-14: more than {MAX_SECONDS} s)'
            finished += 1
        process.join()


def outcome(action: Callable[[], object], scratch: Path) -> Outcome:
    """The outcome of one action."""
    return next(iter(outcomes(lambda _: action(), 1, scratch)))


def check(kind: str, data: bytes, read: Callable[[Path], object], path: Path, count: int, mutators: tuple = BINARY) -> None:
    """Assert the contract for mutated inputs. Where the environment variable FUZZ_KEEP names a folder, failing inputs are kept
    there.

    Args:
        kind: name of the input in messages; seeds its mutations.
        data: a valid input.
        read: the reader.
        path: file that holds each input, in the scratch folder.
        count: number of mutations.
        mutators: functions of tests.fuzz.mutators.
    """
    def mutated(seed: int) -> bytes:
        return mutate(data, np.random.default_rng([zlib.crc32(kind.encode()), seed]), mutators)

    def act(seed: int) -> None:
        path.write_bytes(mutated(seed))
        try:
            read(path)
        finally:
            assert path.read_bytes() == mutated(seed), 'the reader changes its input'

    failures, counts = [], Counter()
    for seed, (result, violation) in enumerate(outcomes(act, count, path.parent)):
        counts[result] += 1
        if violation is not None:
            failures.append(f'seed {seed}: {violation}')
            if folder := os.environ.get('FUZZ_KEEP'):
                (Path(folder) / f'{kind.replace("/", "-")}-{seed}{path.suffix}').write_bytes(mutated(seed))
    print(f'{kind}: {dict(counts)}, {len(failures)} violate the contract')
    assert not failures, f'{kind}: {len(failures)} of {count} inputs violate the contract\n' + '\n'.join(failures[:5])
