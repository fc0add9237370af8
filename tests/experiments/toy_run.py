"""Trains the toy family from the command line: what the tests kill, interrupt and run in two processes."""
import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

import torch

from configs.schema import RunConfig
from experiments.engine import Engine, build_fabric
from experiments.errors import Interrupted, RunError
from tests.experiments.toy import Toy, ToyConfig, toy_loader

if __name__ == '__main__':
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser()
    parser.add_argument('--folder', required=True)
    parser.add_argument('--steps', type=int, default=40)
    parser.add_argument('--devices', type=int, default=1)
    parser.add_argument('--batch', type=int, default=4)
    parser.add_argument('--workers', type=int, default=0)
    parser.add_argument('--sleep', type=float, default=0.0, help='seconds per batch, so that a signal finds the run at work')
    parser.add_argument('--plain', action='store_true', help='nothing is drawn in forward, no batch norm, no dropout')
    parser.add_argument('--resume', action='store_true')
    args = parser.parse_args()
    config = RunConfig(family='toy', engine=dict(steps=args.steps, accelerator='cpu', devices=args.devices, checkpoint_every=3,
                                                 picture_every=10, log_every=2, seed=7))
    fabric = build_fabric(config.engine)
    torch.manual_seed(7)
    family = Toy(ToyConfig(chance=not args.plain))
    loader = toy_loader(args.batch, workers=args.workers, share=fabric.global_rank, shares=fabric.world_size)
    engine = Engine(config, family, loader, fabric=fabric, folder=args.folder)
    update = family.after_update
    family.after_update = lambda player: (time.sleep(args.sleep), update(player))
    if args.resume:
        engine.resume()
    try:
        engine.fit()
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        sys.exit(128 + stop.signal)
    except RunError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    torch.save(family.state_dict(), Path(args.folder) / f'rank-{fabric.global_rank}.pt')
