"""Exit status and terminal output of scripts: Ctrl-C, missing packages, characters that stdout cannot encode."""
import os
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

_ROOT = Path(__file__).resolve().parents[1]
STOPPED = 130  # exit status after Ctrl-C, as in shells
EXTRAS = {'gradio': 'app', 'matplotlib': 'eval', 'jinja2': 'eval', 'scipy': 'eval', 'onnx': 'export', 'onnxruntime': 'export',
          'c2pa': 'provenance', 'cryptography': 'provenance'}  # package -> the extra of setup.py that installs it


def escape_unprintable() -> None:
    """Print characters that the encoding of stdout or stderr lacks as escapes (\\u3042) instead of raising an error."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, 'reconfigure'):  # a replaced stream may lack it
            stream.reconfigure(errors='backslashreplace')


def quiet_interrupts() -> None:
    """Install a sys.excepthook for exceptions outside of `run_script`, such as those of imports.

    KeyboardInterrupt exits with STOPPED and prints nothing. A missing package of EXTRAS exits with 2 and one line on stderr.
    Other exceptions print their traceback.
    """
    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        package = (getattr(error, 'name', None) or '').partition('.')[0]
        if issubclass(kind, KeyboardInterrupt):
            os._exit(STOPPED)
        if not issubclass(kind, ModuleNotFoundError) or package not in EXTRAS:
            return sys.__excepthook__(kind, error, trace)
        advice = f"run pip install -e '.[{EXTRAS[package]}]'"
        print(f'{os.path.basename(sys.argv[0])}: the package {package} is not installed; {advice}', file=sys.stderr, flush=True)
        os._exit(2)

    sys.excepthook = hook


def print_renamed_as_notes() -> None:
    """Print FutureWarnings, those of names of earlier versions, as `note: MESSAGE` without the line of code."""
    standard = warnings.formatwarning

    def formatted(message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None) -> str:
        own = issubclass(category, FutureWarning) and Path(filename).is_relative_to(_ROOT)
        return f'note: {message}\n' if own else standard(message, category, filename, lineno, line)

    warnings.formatwarning = formatted


def run_script(main: Callable[[], int]) -> int:
    """Call a script's main function and return its exit status; STOPPED, with one line on stderr, after KeyboardInterrupt.
    Further SIGINTs are ignored during the cleanup that follows."""
    escape_unprintable()
    print_renamed_as_notes()
    try:
        return main()
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print(f'{os.path.basename(sys.argv[0])}: stopped', file=sys.stderr)
        return STOPPED
