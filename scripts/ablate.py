"""Train the runs of an ablation and compare them.

    python scripts/ablate.py quick
    python scripts/ablate.py configs/ablations/identity.yaml --dry-run       # print the plan
    python scripts/ablate.py configs/ablations/identity.yaml --estimate      # print the plan with estimated times
    python scripts/ablate.py families --data celeba --root CELEBA -o OUT
    python scripts/ablate.py photo-drawing --data webcaricature --root WEBCARICATURE

Finished runs are reused (--runs, by the hash of config, code and data), interrupted runs resume, failures are recorded.
--estimate measures the speed of each variant on a few training steps and stores it. The output folder receives report.html,
tables (Markdown, CSV, LaTeX) and, for image families, images.png.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from experiments.console import quiet_interrupts, run_script

quiet_interrupts()

import argparse

from configs.ablation import AblationConfig, read_ablation
from experiments.ablation.plan import Run, plan
from experiments.ablation.runner import Stopped, estimates, train_all, train_by_script
from experiments.options import add_device_option
from models.weights import WeightsError


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('ablation', help='YAML file, or its name in configs/ablations')
    parser.add_argument('--data', help='data set for training and evaluation, instead of that of the file')
    parser.add_argument('--root', help='folder of the data set')
    parser.add_argument('--steps', type=int, help='training steps of every run, instead of those of the file')
    parser.add_argument('--seeds', type=int, nargs='+', help='seeds, instead of those of the file')
    parser.add_argument('--runs', type=Path, default=Path('runs/ablations'), help='folder of the runs (%(default)s)')
    parser.add_argument('-o', '--out', type=Path, help='output folder (outputs/ablations/NAME)')
    parser.add_argument('--dry-run', action='store_true', help='print the plan and exit')
    parser.add_argument('--estimate', action='store_true', help='print the plan with estimated times and exit')
    parser.add_argument('--compare-only', action='store_true', help='compare the finished runs without training')
    add_device_option(parser, 'torch device of the comparison')
    args = parser.parse_args(argv)
    if bool(args.data) != bool(args.root) and args.data != 'synthetic':
        parser.error('--data and --root require each other')
    return args


def settings(args: argparse.Namespace) -> tuple[str, AblationConfig]:
    """Name and ablation with the overrides of the command line."""
    name, ablation = read_ablation(args.ablation)
    changes = {} if args.steps is None else {'engine.steps': args.steps}
    update = {} if args.seeds is None else {'seeds': args.seeds}
    if args.data:
        changes |= {'data.name': args.data, 'data.root': args.root}
        protocol_name = ablation.protocol.name if ablation.protocol.name == 'translation' else args.data
        update['protocol'] = ablation.protocol.model_copy(update={'name': protocol_name, 'root': args.root})
    base = ablation.base.model_copy(update={'settings': {**ablation.base.settings, **changes}})
    return name, ablation.model_copy(update={**update, 'base': base})


def list_plan(runs: list[Run], folder: Path, measure: bool) -> None:
    """Print the runs with their state and estimated duration. measure: estimate durations that are not stored."""
    seconds = estimates(runs, folder / 'speeds.json', train_by_script if measure else None)
    for run in runs:
        time = f'about {seconds[run.key] / 60:.1f} min' if run.key in seconds else '' if run.finished else 'no estimate'
        print(f'{run.state:>8}  {run.variant}, seed {run.seed}: {run.config.family}, {run.config.engine.steps} steps  {time}')
    open_runs = {run.key for run in runs if not run.finished}
    unknown = len(open_runs) - len(seconds)
    print(f'{len(open_runs)} to train, ' + (f'about {sum(seconds.values()) / 60:.0f} minutes on one device' if not unknown else
          f'{unknown} of unknown duration' + ('' if measure else '; --estimate measures it')))


def run(args: argparse.Namespace) -> None:
    name, ablation = settings(args)
    runs = plan(ablation, args.runs)
    if args.dry_run or args.estimate:
        list_plan(runs, args.runs, args.estimate)
        return
    for data, root in {(run.config.data.name, run.config.data.root) for run in runs}:
        if data != 'synthetic' and root is None:
            raise ValueError(f'{args.ablation} requires a data set on disk: give --data {data} --root FOLDER')
    from experiments.ablation.output import compare_runs, load_protocol, write_comparison  # slow imports, not needed for a plan

    out = args.out or Path('outputs') / 'ablations' / name
    protocol = load_protocol(ablation, out / 'lists')
    if not args.compare_only:
        train_all(runs, log=lambda line: print(line, file=sys.stderr, flush=True))
    comparison = compare_runs(name, ablation, runs, protocol, out / 'evaluation', device=args.device)
    for judge, table in comparison.tables.items():
        print(f'{judge}\n\n{table.markdown()}')
    print(write_comparison(out, comparison))


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    try:
        run(args)
    except (ValueError, OSError, WeightsError) as error:
        print(f'ablate.py: {error}', file=sys.stderr)
        return 2
    except Stopped as error:
        print(f'ablate.py: {error}; the same command resumes', file=sys.stderr)
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(run_script(main))
