"""scripts/ablate.py: plans, estimates, errors."""
import importlib
import os
import resource
import subprocess
import sys

from experiments.ablation import runner


def test_a_dry_run_takes_less_than_three_processor_seconds(tmp_path):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.run([sys.executable, 'scripts/ablate.py', 'families', '--dry-run', '--runs', str(tmp_path)], text=True,
                             capture_output=True, cwd=runner.ROOT, env={**os.environ, 'OMP_NUM_THREADS': '1'})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert process.returncode == 0 and 'ddpm, seed 2: ddpm, 10000 steps' in process.stdout
    assert '--estimate measures' in process.stdout
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 3
    assert not list(tmp_path.iterdir())


def test_estimates_are_printed(tmp_path, monkeypatch, capsys):
    script = importlib.import_module('scripts.ablate')
    monkeypatch.setattr(script, 'estimates', lambda runs, cache, train: {run.key: 90.0 for run in runs})
    assert script.main(['quick', '--estimate', '--runs', str(tmp_path)]) == 0
    output = capsys.readouterr().out
    assert 'ddpm, no identity loss, seed 0: ddpm' in output and 'about 1.5 min' in output
    assert '9 to train, about 14 minutes' in output


def test_errors_are_one_sentence(tmp_path, capsys):
    script = importlib.import_module('scripts.ablate')
    assert script.main(['nothing']) == 2
    error = capsys.readouterr().err
    assert "no ablation 'nothing'" in error and error.count('\n') == 1
    assert script.main(['quick', '--compare-only', '--runs', str(tmp_path), '-o', str(tmp_path / 'out')]) == 2
    assert 'nothing to compare' in capsys.readouterr().err
