"""Train the contract's small runs on a simulated GPU, by the suite's own engine: steps, validation, panel, checkpoint, resuming
in another precision, generation.

    python -m tests.cuda.train [RUN ...] [--precision bf16-mixed ...]

RUN is 'family NAME' or 'preset NAME' (default: all). Exits with 1 where tensors of two devices meet, where dtypes do not fit
under CUDA's autocast, or where anything else is raised; with 2, and a sentence, where it cannot run.
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
        print(f'there is no working C compiler for the stubs of the CUDA driver ({error})', file=sys.stderr)
        sys.exit(2)

import torch  # noqa: E402

from tests.cuda.simulation import DEVICE, ROOT, GeneratorRules, simulate_cuda  # noqa: E402

_NEXT = {'32-true': '16-mixed', '16-mixed': 'bf16-mixed', 'bf16-mixed': '32-true'}  # in which a run is resumed


def train(run: str, precision: str) -> int:
    """Kernels launched in the two steps."""
    from tests.contract.test_precision import small

    trained = small(run)
    settings = {'accelerator': 'cuda', 'checkpoint_every': 1, 'validate_every': 1}
    with tempfile.TemporaryDirectory() as folder, DEVICE, GeneratorRules():
        before = DEVICE.kernels
        trained.engine(Path(folder), precision=precision, channels_last=precision != '32-true', **settings).fit()
        kernels = DEVICE.kernels - before
        engine = trained.engine(Path(folder), precision=_NEXT[precision], steps=3, **settings)
        engine.resume()
        engine.fit()
        if run.startswith('family'):
            engine.family.eval().generate(engine.validation.batches[0], generator=torch.Generator('cuda').manual_seed(0))
    return kernels


def main() -> int:
    from tests.contract.test_precision import RUNS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('runs', nargs='*', metavar='RUN')
    parser.add_argument('--precision', nargs='+', default=list(_NEXT), choices=_NEXT)
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
        print('this PyTorch was built without CUDA, whose rules of devices and dtypes it would be asked for', file=sys.stderr)
        sys.exit(2)
    simulate_cuda()
    sys.exit(main())
