"""Alias of `train.py --family causes`; removed in the next release."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from experiments.console import quiet_interrupts, run_script

quiet_interrupts()

from experiments.training.launch.aliases import run_alias


def main(argv: list[str] | None = None) -> int:
    return run_alias('train_causes.py', 'causes', argv)


if __name__ == '__main__':
    sys.exit(run_script(main))
