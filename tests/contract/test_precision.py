"""Training of every family with all of its losses, and of every preset, in float32 and in mixed precision; on a GPU where
present."""
import json
import math

import pytest
import torch

from experiments.training import engine as engines
from models.base import Family
from models.registry import GENERATORS
from tests.contract.small import RUNS, small_run

DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'
HALF = {'bf16-mixed': torch.bfloat16, '16-mixed': torch.float16}
TOLERANCES = {torch.bfloat16: 1e-2, torch.float16: 4e-3}  # relative above 1, absolute below
# Factors of the tolerance for losses that amplify rounding errors of a deep untrained encoder: the cosine to the teacher's
# embedding and the contrast between photos and drawings, whose temperature divides cosines by 0.1.
TOLERANCE_FACTORS = {'distill': 3, 'contrast': 10}
LARGE = 'preset webcaricature', 'preset recognizer', 'preset photo-drawing'  # recognition networks have one size


def losses(run: str, dtype: torch.dtype) -> tuple[dict[str, float], Family]:
    """The losses of all groups for one batch, and the family with their gradients."""
    family, batch = small_run(run).build().to(DEVICE).train(), next(iter(small_run(run).loader())).to(DEVICE)
    if family.has_perception:
        family.perception.to(DEVICE)
    all_losses, cache = {}, {}
    for group, parameters in family.param_groups().items():
        torch.manual_seed(1)
        with torch.autocast(DEVICE, dtype, enabled=dtype != torch.float32):
            group_losses = family(group, batch, 0, cache)
        sum(group_losses.values()).float().backward(inputs=[value for value in parameters if value.requires_grad])
        all_losses |= {name: loss.item() for name, loss in group_losses.items()}
    return all_losses, family


@pytest.mark.parametrize('run', [pytest.param(run, marks=[pytest.mark.slow] * (run in LARGE)) for run in RUNS])
def test_half_precision_losses_equal_float32_losses(run):
    expected, family = losses(run, torch.float32)
    with_gradient = {name for name, value in family.named_parameters() if value.grad is not None}
    for dtype, tolerance in TOLERANCES.items():
        rounded, family = losses(run, dtype)
        for name, value in expected.items():
            allowed = tolerance * TOLERANCE_FACTORS.get(name, 1)
            assert rounded[name] == pytest.approx(value, rel=allowed, abs=allowed), (name, dtype)
        gradients = {name: value.grad for name, value in family.named_parameters() if value.grad is not None}
        assert gradients.keys() == with_gradient, dtype
        assert all(gradient.isfinite().all() for gradient in gradients.values()), dtype


class RecordingCache(dict):
    """A cache that records for each lookup whether the entry exists."""

    def __init__(self, hits: list[bool]):
        super().__init__()
        self.hits = hits

    def __contains__(self, name) -> bool:
        self.hits.append(super().__contains__(name))
        return self.hits[-1]

    def get(self, name, default=None):
        self.hits.append(super().__contains__(name))
        return super().get(name, default)


def train(run: str, folder, monkeypatch, **settings) -> None:
    """Train two steps and check that the journal has a finite value of each loss with a weight, and that each step generates a
    batch once."""
    hits, micro_batch = [], engines.MicroBatch
    monkeypatch.setattr(engines, 'MicroBatch', lambda batch: recorded(micro_batch(batch), RecordingCache(hits)))
    engine = small_run(run).engine(folder, **settings)
    engine.fit()
    values, weights = {}, engine.family.config.weights
    for line in (folder / 'journal.jsonl').read_text().splitlines():
        line = json.loads(line, parse_constant=lambda text: pytest.fail(f'the journal holds {text}'))
        values |= {name[6:]: value for name, value in line.items() if name.startswith('train/')}
    assert values.keys() == {name for name, weight in weights.items() if weight}
    assert all(math.isfinite(value) for value in values.values())
    assert all(hits)


def recorded(micro_batch: engines.MicroBatch, cache: RecordingCache) -> engines.MicroBatch:
    micro_batch.cache = cache
    return micro_batch


@pytest.mark.parametrize('run', [*(f'family {name}' for name in GENERATORS), 'preset cgan-faces', 'preset encoder'])
def test_two_steps_with_accumulation(run, tmp_path, monkeypatch):
    train(run, tmp_path, monkeypatch, precision='bf16-mixed', accumulate=2)


@pytest.mark.slow
@pytest.mark.parametrize('accumulate', [1, 2])
@pytest.mark.parametrize('precision', ['32-true', *HALF])
@pytest.mark.parametrize('run', RUNS)
def test_two_steps_in_every_precision(run, precision, accumulate, tmp_path, monkeypatch):
    train(run, tmp_path, monkeypatch, precision=precision, accumulate=accumulate)


@pytest.mark.slow
@pytest.mark.parametrize('precision', ['32-true', 'bf16-mixed'])
@pytest.mark.parametrize('run', ['preset cgan-faces', 'preset cvae-faces', 'preset ddpm-faces', 'preset cyclegan-anime',
                                 'preset cut', 'preset encoder', 'preset parser', 'preset causes'])
def test_two_compiled_steps(run, precision, tmp_path, monkeypatch):
    train(run, tmp_path, monkeypatch, precision=precision, compile=True)
