"""Folders of results for the tests of the web page: runs with untrained weights, an ablation."""
from pathlib import Path
from typing import Any

import torch

from experiments.training.logging.journal import Journal
from experiments.training.state.checkpoint import save_family
from models.registry import build_family
from tests.contract.configs import TINY_CONFIGS

TABLE = '| | identity similarity ↑ |\n| --- | ---: |\n| base | **0.61** |\n| no identity | 0.12 |\n'
REPORT = '<!doctype html><title>Ablation</title><h1 id="title">waiting</h1><script>title.textContent="Ablation: tiny"</script>'


def run(folder: Path, name: str, **changes: Any) -> None:
    """Write a run of a family as train.py does, with random weights."""
    torch.manual_seed(0)
    family = build_family(name, TINY_CONFIGS[name] | changes, None)
    journal = Journal(folder, 0)
    for step in range(0, 60, 20):
        journal.write(step, 'train', {'train/adversarial': 1 / (1 + step), 'train/cycle': 0.5 + step / 100})
    journal.images(40, {'a': torch.rand(4, 3, 48, 48) * 2 - 1, 'a2b': torch.rand(4, 3, 48, 48) * 2 - 1})
    journal.close()
    save_family(folder / 'family.safetensors', name, family.state_dict(), family.config)


def results(folder: Path) -> Path:
    """Write runs of two translators and a denoiser, and an ablation."""
    run(folder / 'munit-1', 'munit', size=32)
    run(folder / 'cyclegan-1', 'cyclegan', size=32)
    run(folder / 'ddpm-1', 'ddpm', size=64, widths=(16, 24), id_dim=128)
    ablation = folder / 'ablations' / 'tiny'
    ablation.mkdir(parents=True)
    (ablation / 'table.md').write_text(TABLE)
    (ablation / 'report.html').write_text(REPORT)
    return folder
