"""Exit status and messages of scripts after Ctrl-C, errors and imports of missing packages."""
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments.console import EXTRAS, run_script

ROOT = Path(__file__).resolve().parents[3]
SCRIPTS = sorted((ROOT / 'scripts').glob('*.py'))

_SLEEPING_SCRIPT = '''
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


@pytest.mark.parametrize('phase, message, cleaned', [('importing', '', False), ('working', 'sleeper.py: stopped\n', True)])
def test_interrupt_prints_no_traceback(phase, message, cleaned):
    process = subprocess.Popen([sys.executable, '-c', _SLEEPING_SCRIPT, phase], cwd=ROOT, text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    assert process.stdout.readline() == 'ready\n'
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err, 'cleaned up' in out) == (130, message, cleaned)


@pytest.mark.parametrize('script', SCRIPTS, ids=lambda path: path.name)
def test_script_installs_the_handlers_before_heavy_imports(script):
    text = script.read_text(encoding='utf-8')
    installed = text.index('quiet_interrupts()\n')
    assert all(text.index(heavy) > installed for heavy in ('import argparse', 'from models') if heavy in text)
    assert text.endswith("if __name__ == '__main__':\n    sys.exit(run_script(main))\n")


def test_warning_of_a_former_name_is_printed_as_a_note(tmp_path):
    command = [sys.executable, str(ROOT / 'scripts' / 'sample_ilvr.py'), '--ref', 'nowhere.png', '--through', 'pic' 'ture']
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    note, error = finished.stderr.splitlines()
    assert note.startswith('note: the value ') and note.endswith(' is now called image; replace it')
    assert finished.returncode == 2 and error.startswith('sample_ilvr.py: nowhere.png is no file')


def test_other_errors_and_statuses_are_passed_on():
    assert run_script(lambda: 2) == 2
    with pytest.raises(ZeroDivisionError):
        run_script(lambda: 1 / 0)


@pytest.mark.parametrize(('package', 'extra'), [('gradio', 'app'), ('scipy', 'eval')])
def test_missing_package_error_names_the_extra(package, extra, tmp_path):
    """A script imports the package of an extra that is hidden from it."""
    script = tmp_path / 'show.py'
    script.write_text(f'import sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom experiments.console import '
                      f'quiet_interrupts\nquiet_interrupts()\nsys.modules[{package!r}] = None\nimport {package}\n')
    process = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert process.returncode == 2
    assert process.stderr == f"show.py: the package {package} is not installed; run pip install -e '.[{extra}]'\n"


def test_extras_are_declared_in_setup():
    setup = (ROOT / 'setup.py').read_text(encoding='utf-8')
    assert all(f"'{extra}': [" in setup for extra in EXTRAS.values())
