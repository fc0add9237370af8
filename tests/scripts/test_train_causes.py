"""The reader of causes: trained for a moment, measured, used by the protocol of drawn faces."""
import importlib
from functools import partial

import pytest
import torch

from datasets.samples.causes import CAUSES, RenderedCauses, causes_of
from datasets.synthetic import ATTRIBUTES, sample_attributes, sample_identity
from experiments.evaluation.evaluator import Evaluation
from experiments.evaluation.judges import Judges
from experiments.evaluation.protocols.swaps import synthetic
from experiments.evaluation.systems import Truth
from models.perception.causes import load_causes


def test_causes_are_scaled_and_agree_with_what_is_drawn():
    sample = RenderedCauses('test', 32)[3]
    assert sample.causes.shape == (len(CAUSES),) and sample.causes.abs().max() <= 1
    attributes = sample_attributes(0, 1)
    attributes[ATTRIBUTES.index('yaw')], attributes[ATTRIBUTES.index('mouth_open')] = -40, 0.75
    found = causes_of(sample_identity(0, 1), attributes)
    assert found[CAUSES.index('yaw')] == -1 and found[CAUSES.index('mouth_open')] == 0.5


def test_a_reader_is_trained_measured_and_used(tmp_path, monkeypatch, capsys):
    script = importlib.import_module('scripts.train_causes')
    monkeypatch.setattr(script, 'measure_causes', partial(script.measure_causes, images=64))
    run = tmp_path / 'run'
    tiny = ['model.width=8', 'model.size=32', 'data.batch=16', 'data.workers=0', 'data.validation_batches=1',
            'engine.accelerator=cpu', 'engine.validate_every=30', 'engine.ema=0.9', 'engine.log_every=10']
    words = ['--steps', '30', '--out', str(run), *(word for setting in tiny for word in ('--set', setting))]
    assert script.main(words) == 0
    said = capsys.readouterr().out
    assert 'identity error 0.' in said and '64 test faces' in said
    protocol = synthetic(48, 4)
    judges = Judges('identity-mobilefacenet', causes=run / 'causes.safetensors')
    row = Evaluation(protocol, judges, tmp_path, batch=4, visible=False).row(Truth())
    reader = load_causes(run / 'causes.safetensors')
    wanted = torch.stack([protocol.causes(i) for i in range(4)])
    error = (reader(torch.stack([protocol.pairs[i].truth for i in range(4)])) - wanted).abs()
    assert row['figures']['cause_identity']['mean'] == pytest.approx(error[:, :47].mean().item(), rel=1e-4)
    assert row['figures']['cause_attributes']['mean'] == pytest.approx(error[:, 47:].mean().item(), rel=1e-4)
    assert 0 <= row['figures']['attributes']['mean'] <= 1
    assert script.main(['--evaluate', str(tmp_path / 'none')]) == 2
