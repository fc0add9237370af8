"""Ctrl-C ends every script with status 130 and at most one line."""
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments.console import EXTRAS, run_script

ROOT = Path(__file__).resolve().parents[3]
SCRIPTS = sorted((ROOT / 'scripts').glob('*.py'))

_SLEEPER = '''
import sys, time
sys.argv[0] = 'sleeper.py'
from experiments.console import quiet_interrupts, run_script
quiet_interrupts()
print('ready', flush=True)
if sys.argv[1] == 'importing':
    time.sleep(60)
try:
    sys.exit(run_script(lambda: time.sleep(60)))
finally:
    print('cleaned up')
'''


@pytest.mark.parametrize('phase, said, cleaned', [('importing', '', False), ('working', 'sleeper.py: stopped\n', True)])
def test_an_interrupt_is_no_traceback(phase, said, cleaned):
    process = subprocess.Popen([sys.executable, '-c', _SLEEPER, phase], cwd=ROOT, text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    assert process.stdout.readline() == 'ready\n'
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err, 'cleaned up' in out) == (130, said, cleaned)


@pytest.mark.parametrize('script', SCRIPTS, ids=lambda path: path.name)
def test_every_script_is_run_that_way(script):
    text = script.read_text(encoding='utf-8')
    first = text.index('quiet_interrupts()\n')
    assert all(text.index(heavy) > first for heavy in ('import argparse', 'from models') if heavy in text)
    assert text.endswith("if __name__ == '__main__':\n    sys.exit(run_script(main))\n")


def test_other_errors_and_statuses_pass(capsys):
    assert run_script(lambda: 2) == 2
    with pytest.raises(ZeroDivisionError):
        run_script(lambda: 1 / 0)


@pytest.mark.parametrize(('package', 'extra'), [('gradio', 'app'), ('scipy', 'eval')])
def test_a_missing_package_is_one_sentence(package, extra, tmp_path):
    """The package of an extra is hidden from a script that imports it."""
    script = tmp_path / 'show.py'
    script.write_text(f'import sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom experiments.console import '
                      f'quiet_interrupts\nquiet_interrupts()\nsys.modules[{package!r}] = None\nimport {package}\n')
    done = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == f"show.py: the package {package} is not installed; run pip install -e '.[{extra}]'\n"


def test_every_extra_is_declared():
    setup = (ROOT / 'setup.py').read_text(encoding='utf-8')
    assert all(f"'{extra}': [" in setup for extra in EXTRAS.values())
