"""Trains the toy family from the command line: what the tests kill and run in two processes."""
import argparse
import atexit
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch  # noqa: E402

from tests.experiments.training.toy import toy_batches, toy_engine  # noqa: E402


def exit_where_gloo_lives() -> None:
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
    parser.add_argument('--sleep', type=float, default=0.0, help='seconds per update, so that a signal finds the run at work')
    parser.add_argument('--plain', action='store_true', help='see ToyConfig')
    args = parser.parse_args()
    atexit.register(exit_where_gloo_lives)  # registered first, called last
    engine = toy_engine(args.folder, batch=args.batch, workers=args.workers, model={'plain': args.plain}, steps=args.steps,
                        devices=args.devices, validation=toy_batches(1), validate_every=3, best='validation/discriminator')
    engine.family.after_each = lambda group: time.sleep(args.sleep)
    engine.fit()
    torch.save(engine.family.state_dict(), args.folder / f'rank-{engine.fabric.global_rank}.pt')
