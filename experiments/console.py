"""Exit status and terminal output of scripts: Ctrl-C, missing packages, characters that stdout cannot encode."""
import os
import signal
import sys
from collections.abc import Callable
from types import TracebackType

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


def run_script(main: Callable[[], int]) -> int:
    """Call a script's main function and return its exit status; STOPPED, with one line on stderr, after KeyboardInterrupt.
    Further SIGINTs are ignored during the cleanup that follows."""
    escape_unprintable()
    try:
        return main()
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print(f'{os.path.basename(sys.argv[0])}: stopped', file=sys.stderr)
        return STOPPED
