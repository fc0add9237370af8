"""Plans of ablations: keys of runs, runs that differ in sampling only, the ablations of the suite."""
import json

import pytest

from configs.ablation import FOLDER, AblationConfig, read_ablation
from experiments.ablation import plan as planning
from experiments.ablation.plan import plan
from models.registry import family_types
from tests.experiments.ablation.stubs import TINY, ablation


def test_run_keys_depend_on_config_code_and_data(tmp_path, monkeypatch):
    def keys(**changes):
        return {(run.variant, run.seed): run.key for run in plan(ablation(**changes), tmp_path)}

    first = keys(seeds=[0, 1])
    assert len(set(first.values())) == 4 and first == keys(seeds=[0, 1])
    variants = keys(variants={'equal': {}, 'other': {'settings': {'engine.steps': 5}}})
    assert variants['equal', 0] == variants['base', 0] == first['base', 0] != variants['other', 0]
    data = tmp_path / 'data'
    data.mkdir()
    base = {'family': 'cvae', 'settings': {**TINY, 'data.name': 'folder', 'data.root': str(data)}}
    before = keys(base=base)
    (data / 'new.png').write_bytes(b'1')
    assert set(before.values()).isdisjoint(keys(base=base).values())
    monkeypatch.setattr(planning, 'code_hash', lambda: 'other code')
    assert set(first.values()).isdisjoint(keys(seeds=[0, 1]).values())


def test_variants_of_sampling_share_a_run(tmp_path):
    config = ablation(variants={}, grid={'model.sampling.steps': [5, 10]}, base={'family': 'ddpm'})
    runs = plan(config, tmp_path)
    assert len({run.key for run in runs}) == 1 and [run.config.model['sampling']['steps'] for run in runs[1:]] == [5, 10]


@pytest.mark.parametrize(('base', 'variant', 'message'), [
    ('recognizer', 'cvae', 'a and the base are an identity encoder'),
    ('parser', 'parser', 'runs of the family parser are not compared'),
])
def test_families_whose_runs_are_not_compared_are_refused(tmp_path, base, variant, message):
    config = AblationConfig(question='?', base={'family': base}, variants={'a': {'family': variant}})
    with pytest.raises(ValueError, match=message):
        plan(config, tmp_path)


@pytest.mark.parametrize('name', sorted(path.stem for path in FOLDER.glob('*.yaml')))
def test_ablations_of_the_suite_are_valid(name, tmp_path):
    config = read_ablation(name)[1]
    runs = plan(config, tmp_path)
    assert len(runs) == len(config.expanded()) * len(config.seeds)
    assert len({json.dumps(run.config.model_dump(mode='json')) for run in runs}) == len(runs) or config.grid
    for run in runs:
        assert family_types(run.config.family)[1](**run.config.model)
