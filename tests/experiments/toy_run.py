"""Training of the toy family from the command line, in one process that tests can kill, or in two.

The file is outside of the folder `training`, whose package `logging` would shadow the standard library's in a script.
"""
import argparse
import atexit
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch  # noqa: E402

from tests.experiments.training.toy import toy_batches, toy_engine  # noqa: E402


def check_gloo_threads() -> None:
    """Exit with status 3 where a thread of a process group is still alive."""
    if any('gloo' in name.read_text() for name in Path('/proc/self/task').glob('*/comm')):
        os._exit(3)


if __name__ == '__main__':
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser()
    parser.add_argument('--folder', type=Path, required=True)
    parser.add_argument('--steps', type=int, required=True)
    parser.add_argument('--devices', type=int, default=1)
    parser.add_argument('--batch', type=int, default=4)
    parser.add_argument('--workers', type=int, default=0)
    parser.add_argument('--sleep', type=float, default=0.0, help='seconds per update, so that a signal arrives during the run')
    parser.add_argument('--deterministic', action='store_true', help='see ToyConfig')
    args = parser.parse_args()
    atexit.register(check_gloo_threads)  # registered first, called last
    engine = toy_engine(args.folder, batch=args.batch, workers=args.workers, model={'deterministic': args.deterministic},
                        steps=args.steps, devices=args.devices, validation=toy_batches(1), validate_every=3,
                        best='validation/discriminator')
    engine.family.on_update = lambda group: time.sleep(args.sleep)
    engine.fit()
    torch.save(engine.family.state_dict(), args.folder / f'rank-{engine.fabric.global_rank}.pt')
