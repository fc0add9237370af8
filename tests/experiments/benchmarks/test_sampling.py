"""Benchmark of ILVR sampling: the published sampler, the suite's, and the suite's in int8."""
from experiments.benchmarks.inference import denoiser_figures
from experiments.benchmarks.sampling import ilvr_figures
from models.ddpm.ilvr import ILVRConfig


def test_figures_of_all_forms(denoiser, references, embed):
    speeds, int8_denoiser = denoiser_figures(denoiser, references, batch=1, repeats=1)
    assert min(speeds.values()) > 0 and {'plain evaluation ms', 'int8 evaluation ms', 'int8 RMSE'} <= set(speeds)
    figures = ilvr_figures(denoiser, references, ILVRConfig(down=4, steps=5), embed, batch=2, int8_denoiser=int8_denoiser)
    assert figures['published: evaluations'] == 100 and figures['int8: evaluations'] == 5
    assert figures['ours: times faster'] == figures['published: s/image'] / figures['ours: s/image']
    assert max(figures[f'{name}: low-pass error'] for name in ('published', 'ours', 'int8')) < 0.01
