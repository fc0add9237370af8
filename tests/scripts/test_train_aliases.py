"""The former training scripts as aliases of train.py."""
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.training.launch.aliases import replaced

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(('old', 'new'), [
    (['--data', 'celeba', '--network', 'iresnet50', '--steps', '3'],
     ['--data', 'celeba', '--steps', '3', '--set', 'model.network=iresnet50']),
    (['--head=none', '--init', 'sphere20a'], ['--init', 'sphere20a', '--set', 'model.weights.margin=0']),
    (['--head', 'cosface'], ['--set', 'model.head=cosface']),
    (['--teacher', 'mobilefacenet-068', '--optimiser', 'adamw', '--lr', '1e-3'],
     ['--set', 'perception.teacher=mobilefacenet-068', '--set', 'model.weights.distill=1', '--set',
      'param_groups.default.name=adamw', '--set', 'param_groups.default.lr=1e-3']),
])
def test_former_options_become_settings(old, new):
    assert replaced(old) == new


@pytest.mark.parametrize(('script', 'arguments', 'command'), [
    ('train_identity', ['--evaluate', 'sphere20a'], 'scripts/evaluate.py --network NAME|FILE'),
    ('train_parser', ['--label', 'cache', '--root', 'faces'], 'scripts/prepare_data.py pseudo-labels'),
    ('train_causes', ['--evaluate=causes.safetensors'], 'scripts/evaluate.py --network NAME|FILE'),
])
def test_options_of_other_scripts_name_the_command(capsys, script, arguments, command):
    assert importlib.import_module(f'scripts.{script}').main(arguments) == 2
    notice, error = capsys.readouterr().err.splitlines()
    assert notice.startswith(f'{script}.py: alias of train.py --family ')
    assert error.startswith(f'{script}.py: write python {command}')


def test_alias_trains_in_a_process_of_its_own(tmp_path):
    command = [sys.executable, str(ROOT / 'scripts' / 'train_causes.py'), '--steps', '1', '--dry-run', '--set', 'data.batch=2',
               'data.workers=0', 'model.width=8', 'engine.accelerator=cpu']
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert finished.returncode == 0 and 'parameters of reader' in finished.stdout
    assert 'alias of train.py --family causes' in finished.stderr and not list(tmp_path.iterdir())
