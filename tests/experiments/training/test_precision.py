"""Mixed precision, memory and devices of a training run."""
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.training.errors import RunError
from tests.experiments.training.toy import Toy, toy_engine


def strict_journal(folder: Path) -> list[dict[str, Any]]:
    """The lines of the journal, which may hold no NaN."""
    texts = (folder / 'journal.jsonl').read_text().splitlines()
    return [json.loads(text, parse_constant=lambda name: pytest.fail(f'the journal holds {name}')) for text in texts]


@pytest.mark.parametrize('first, second', [('32-true', '16-mixed'), ('16-mixed', '32-true'), ('bf16-mixed', '16-mixed')])
def test_run_resumes_in_another_precision(tmp_path, first, second):
    toy_engine(tmp_path, steps=4, precision=first).fit()
    engine = toy_engine(tmp_path, steps=8, precision=second)
    engine.resume()
    engine.fit()
    assert strict_journal(tmp_path)[-1]['step'] == 8
    assert toy_engine(tmp_path, precision=second).checkpoints.newest().name == 'step-00000008'


def test_autocast_keeps_batches_in_float32(tmp_path):
    class CheckedToy(Toy):
        def forward(self, group, batch, step, cache):
            assert batch.source.dtype == torch.float32 and torch.is_autocast_enabled('cpu')
            return super().forward(group, batch, step, cache)

    toy_engine(tmp_path, family=CheckedToy, steps=1, precision='bf16-mixed').fit()


def test_overflowing_gradient_norm_is_null_in_the_journal(tmp_path):
    weights = {'reconstruction': 1e9, 'adversarial': 0.1, 'discriminator': 1.0}
    toy_engine(tmp_path, steps=2, precision='16-mixed', model={'weights': weights}).fit()
    first = next(line for line in strict_journal(tmp_path) if line['event'] == 'train')
    assert first['grad_norm/generator'] is None and first['train/reconstruction'] > 0


@pytest.mark.parametrize('error, precision, advice', [
    (torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB'), '32-true',
     'set data.batch below 16, with engine.accumulate higher by as much or engine.precision=bf16-mixed or a smaller model; '
     'the last good checkpoint is .*step-00000002'),
    (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 'bf16-mixed', 'higher by as much or a smaller model'),
])
def test_out_of_memory_names_the_settings_to_change(tmp_path, error, precision, advice):
    def fail(group):
        if engine.step == 2:
            raise error

    engine = toy_engine(tmp_path, precision=precision)
    engine.family.on_update = fail
    with pytest.raises(RunError, match=f'the memory was not enough: .*{advice}'):
        engine.fit()


def test_more_gpus_than_present_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 1)
    with pytest.raises(RunError, match='engine.devices=2 asks for more GPUs than the 1 of this machine: set engine.devices=1'):
        toy_engine(tmp_path, accelerator='auto', devices=2)
