"""Ctrl-C and SIGTERM: a wish that a loop grants between two steps, and the quiet end of a script."""
import os
import signal
import sys
import threading
from collections.abc import Callable

from experiments.console import escape_unprintable

STOPPED = 130  # exit status after Ctrl-C, as shells have it
EXTRAS = {'gradio': 'app', 'matplotlib': 'eval', 'jinja2': 'eval', 'scipy': 'eval', 'onnx': 'export', 'onnxruntime': 'export',
          'c2pa': 'provenance', 'cryptography': 'provenance'}  # package -> the extra of setup.py that installs it


class Interruption:
    """Inside the context the first SIGINT or SIGTERM is only noted in `signal`; a second one acts as usual."""

    def __init__(self):
        self.signal: int | None = None
        self._previous: dict[int, object] = {}

    def _note(self, number: int, frame) -> None:
        self.signal = number
        self._give_back()

    def _give_back(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def __enter__(self) -> 'Interruption':
        if threading.current_thread() is threading.main_thread():  # python allows handlers nowhere else
            self._previous = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *exception) -> None:
        self._give_back()


def quiet_interrupts() -> None:
    """Set what happens to exceptions outside of `run_script`, while a script is still importing: Ctrl-C ends the process with
    STOPPED and nothing printed, a missing package of EXTRAS with 2 and a sentence, instead of a traceback."""
    def hook(kind, error, trace):
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
    """The exit status of a script's main function; STOPPED, with one line, where Ctrl-C ended it. Further ones are ignored then,
    so that nothing interrupts the cleaning up."""
    escape_unprintable()
    try:
        return main()
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print(f'{os.path.basename(sys.argv[0])}: stopped', file=sys.stderr)
        return STOPPED
