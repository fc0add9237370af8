"""Training of the regressor of rendering parameters by scripts/train.py, and its use in the protocol of rendered faces."""
import importlib
from functools import partial

import pytest
import torch

from datasets.samples.causes import CAUSES, RenderedCauses, causes_of
from datasets.synthetic import ATTRIBUTES, sample_attributes, sample_identity
from experiments.evaluation import networks
from experiments.evaluation.evaluator import Evaluation
from experiments.evaluation.judges import Judges
from experiments.evaluation.protocols.swaps import synthetic
from experiments.evaluation.systems import Truth
from models.perception.causes import CauseTrainingConfig, load_causes


def test_causes_are_scaled_rendering_parameters():
    sample = RenderedCauses('test', 32)[3]
    assert sample.causes.shape == (len(CAUSES),) and sample.causes.abs().max() <= 1
    attributes = sample_attributes(0, 1)
    attributes[ATTRIBUTES.index('yaw')], attributes[ATTRIBUTES.index('mouth_open')] = -40, 0.75
    causes = causes_of(sample_identity(0, 1), attributes)
    assert causes[CAUSES.index('yaw')] == -1 and causes[CAUSES.index('mouth_open')] == 0.5


def test_regressor_is_trained_measured_and_used(run_train, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(networks, 'measure_causes', partial(networks.measure_causes, images=64))
    run = tmp_path / 'run'
    tiny = ['model.width=8', 'model.size=32', 'data.batch=16', 'data.workers=0', 'data.validation_batches=1',
            'engine.accelerator=cpu', 'engine.validate_every=30', 'engine.ema=0.9', 'engine.log_every=10']
    assert run_train('--family', 'causes', '--steps', 30, '--out', run, settings=tiny) == 0
    report = capsys.readouterr().out
    assert 'identity error 0.' in report and '64 test faces' in report
    evaluate = importlib.import_module('scripts.evaluate').main
    assert evaluate(['--network', str(run / 'causes.safetensors'), '--device', 'cpu']) == 0
    assert capsys.readouterr().out == report
    protocol = synthetic(48, 4)
    judges = Judges('identity-mobilefacenet', causes=run / 'causes.safetensors')
    row = Evaluation(protocol, judges, tmp_path, batch=4, visible=False).row(Truth())
    regressor = load_causes(run / 'causes.safetensors')
    expected = torch.stack([protocol.causes(i) for i in range(4)])
    error = (regressor(torch.stack([protocol.pairs[i].truth for i in range(4)])) - expected).abs()
    assert row['figures']['cause_identity']['mean'] == pytest.approx(error[:, :47].mean().item(), rel=1e-4)
    assert row['figures']['cause_attributes']['mean'] == pytest.approx(error[:, 47:].mean().item(), rel=1e-4)
    assert 0 <= row['figures']['attributes']['mean'] <= 1


def test_config_has_the_number_of_causes():
    assert CauseTrainingConfig().causes == len(CAUSES)
