"""Train the small runs of the contract on a simulated GPU: steps, validation, panel, checkpoint, resuming in another precision,
generation.

    python -m tests.cuda.train [RUN ...] [--precision bf16-mixed ...]

RUN is 'family NAME' or 'preset NAME' (default: all). Exits with 1 where an operation gets tensors of two devices, where dtypes do
not match under CUDA's autocast, and after any other error; with 2 and one sentence where the machine lacks a requirement.
"""
import argparse
import subprocess
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

from tests.cuda.driver import load_stubs

if __name__ == '__main__':
    try:
        load_stubs()
    except (OSError, subprocess.CalledProcessError) as error:
        print(f'the stubs of the CUDA driver need a C compiler ({error})', file=sys.stderr)
        sys.exit(2)

import torch  # noqa: E402

from tests.cuda.simulation import DEVICE, ROOT, GeneratorRules, simulate_cuda  # noqa: E402

RESUMED_PRECISION = {'32-true': '16-mixed', '16-mixed': 'bf16-mixed', 'bf16-mixed': '32-true'}


def train(run: str, precision: str) -> int:
    """Train two steps, resume for a third and generate; returns the number of kernels of the two steps."""
    from tests.contract.small import small_run

    small = small_run(run)
    settings = {'accelerator': 'cuda', 'checkpoint_every': 1, 'validate_every': 1}
    with tempfile.TemporaryDirectory() as folder, DEVICE, GeneratorRules():
        before = DEVICE.kernels
        small.engine(Path(folder), precision=precision, channels_last=precision != '32-true', **settings).fit()
        kernels = DEVICE.kernels - before
        engine = small.engine(Path(folder), precision=RESUMED_PRECISION[precision], steps=3, **settings)
        engine.resume()
        engine.fit()
        if run.startswith('family'):
            engine.family.eval().generate(engine.validation.batches[0], generator=torch.Generator('cuda').manual_seed(0))
    return kernels


def main() -> int:
    from tests.contract.small import RUNS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('runs', nargs='*', metavar='RUN')
    parser.add_argument('--precision', nargs='+', default=list(RESUMED_PRECISION), choices=RESUMED_PRECISION)
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter('ignore')
    failures = 0
    for run in args.runs or RUNS:
        for precision in args.precision:
            try:
                print(f'ok   {precision} {run}: {train(run, precision)} kernels', flush=True)
            except Exception as error:
                failures += 1
                frames = [f'{frame.filename.removeprefix(f"{ROOT}/")}:{frame.lineno}'
                          for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(f'{ROOT}/')]
                print(f'FAIL {precision} {run}: {type(error).__name__}: {str(error).splitlines()[0]}\n     '
                      + ' > '.join(frames[-4:]), flush=True)
    return 1 if failures else 0


if __name__ == '__main__':
    if not torch.backends.cuda.is_built():
        print('this PyTorch was built without CUDA, whose device and dtype rules the simulation needs', file=sys.stderr)
        sys.exit(2)
    simulate_cuda()
    sys.exit(main())
