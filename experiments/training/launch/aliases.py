"""Command lines of the former scripts train_identity.py, train_parser.py and train_causes.py, as arguments of train.py."""
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[3] / 'scripts'
# option -> settings of its value
_SETTINGS: dict[str, Callable[[str], tuple[str, ...]]] = {
    '--network': lambda value: (f'model.network={value}',),
    '--head': lambda value: ('model.weights.margin=0',) if value == 'none' else (f'model.head={value}',),
    '--teacher': lambda value: (f'perception.teacher={value}', 'model.weights.distill=1'),
    '--optimizer': lambda value: (f'param_groups.default.name={value}',),
    '--optimiser': lambda value: (f'param_groups.default.name={value}',),
    '--lr': lambda value: (f'param_groups.default.lr={value}',),
}
# option -> command that replaces it
_COMMANDS = {
    '--evaluate': 'scripts/evaluate.py --network NAME|FILE',
    '--partition': 'scripts/evaluate.py --network NAME|FILE --partition PARTITION',
    '--label': 'scripts/prepare_data.py pseudo-labels --data NAME --root FOLDER -o CACHE',
}


def replaced(argv: list[str]) -> list[str]:
    """Arguments of train.py with the options of the former scripts as --set. ValueError, one sentence, for an option whose work
    another script does."""
    arguments: list[str] = []
    settings: list[str] = []
    words = iter(argv)
    for word in words:
        option, equals, value = word.partition('=')
        if option in _COMMANDS:
            raise ValueError(f'write python {_COMMANDS[option]} instead of {option}')
        if option in _SETTINGS:
            settings += _SETTINGS[option](value if equals else next(words, ''))
        else:
            arguments.append(word)
    return [*arguments, *(word for setting in settings for word in ('--set', setting))]


def run_alias(script: str, family: str, argv: list[str] | None = None) -> int:
    """Run train.py for a family under the name of a former script; returns its exit code.

    Args:
        script: file name of the former script.
        family: the trained family.
        argv: arguments of the script; None for those of the process.
    """
    print(f'{script}: alias of train.py --family {family}; it will be removed in the next release', file=sys.stderr)
    try:
        arguments = replaced(sys.argv[1:] if argv is None else argv)
    except ValueError as error:
        print(f'{script}: {error}', file=sys.stderr)
        return 2
    return runpy.run_path(str(SCRIPTS / 'train.py'), run_name='scripts.train')['main'](['--family', family, *arguments])
