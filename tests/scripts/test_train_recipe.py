"""Training by a recipe: stages, initial weights, resumption."""
import os
import signal

import pytest
import yaml
from safetensors.torch import load_file

from configs.recipe import FOLDER, read_recipe
from configs.resolve import load
from datasets import cache, reversal
from datasets.loaders import build_faces
from datasets.transforms.joint import face_frame
from experiments.training.engine import Engine
from experiments.training.launch import recipe as recipes
from experiments.training.launch.recipe import stage_configs
from models.registry import family_types
from tests.contract.stubs import ID_DIM, tiny_perception
from tests.datasets import layouts

TINY = ['model.size=32', 'model.widths=[8, 16]', 'model.depth=1', f'model.id_dim={ID_DIM}', 'data.batch=2', 'data.workers=0',
        'data.validation_batches=0', 'engine.accelerator=cpu', 'engine.checkpoint_every=2', 'engine.log_every=1']


def write(path, **changes):
    recipe = {'family': 'cvae', 'stages': [{'name': 'first', 'samples': 5, 'settings': {'model.weights.edges': 3.0}},
                                           {'name': 'second', 'samples': 4, 'settings': {'model.weights.id': 7.0}}], **changes}
    path.write_text(yaml.safe_dump(recipe))
    return path


@pytest.mark.parametrize('name', sorted(path.stem for path in FOLDER.glob('*.yaml')))
def test_each_recipe_resolves_to_runs_of_its_family(name):
    recipe = read_recipe(name)[1]
    configs = stage_configs(recipe, [{'data': {'root': 'CACHE'}}])
    for stage, config in zip(recipe.stages, configs, strict=True):
        per_step = config.data.batch * config.engine.accumulate
        assert stage.samples <= config.engine.steps * per_step < stage.samples + per_step
        family, schema = family_types(recipe.family)
        schema.model_validate(config.model)
        assert config.data.reversed > 0 or recipe.reversed is None


def test_settings_of_a_stage_hold_for_later_stages(tmp_path):
    first, second = stage_configs(read_recipe(str(write(tmp_path / 'r.yaml')))[1], [{'data': {'batch': 2}}])
    assert (first.model['weights']['edges'], first.engine.steps) == (3.0, 3)
    assert (second.model['weights']['edges'], second.model['weights']['id'], second.engine.steps) == (3.0, 7.0, 2)
    assert first.model['weights']['id'] != 7.0


def test_stage_is_initialized_with_the_previous_weights_and_an_interrupted_recipe_resumes(run_train, tmp_path, monkeypatch,
                                                                                         capsys):
    recipe, out = write(tmp_path / 'r.yaml'), tmp_path / 'out'
    command = '--recipe', recipe, '--out', out
    train_step, starts = Engine.train_step, []

    def interrupted(engine, *rest):
        if engine.step == 0:
            starts.append({name: value.clone() for name, value in engine.family.state_dict().items()})
        images = train_step(engine, *rest)
        if len(starts) == 2 and engine.step == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return images

    with monkeypatch.context() as patch:
        patch.setattr(Engine, 'train_step', interrupted)
        assert run_train(*command, settings=TINY) == 128 + signal.SIGTERM
    stored = load_file(out / '01-first' / 'family.safetensors')
    assert all((starts[1][name].float() - value.float()).abs().max() < 1e-6 for name, value in stored.items())
    assert not (out / 'family.safetensors').exists()
    capsys.readouterr()
    assert run_train(*command, settings=TINY) == 0
    errors = capsys.readouterr().err
    assert 'stage 2 of 2, second' in errors and 'stage 1' not in errors
    assert (out / 'family.safetensors').read_bytes() == (out / '02-second' / 'family.safetensors').read_bytes()
    assert load(out / '02-second' / 'config.yaml').model['weights']['id'] == 7.0
    assert run_train(*command, settings=TINY) == 0 and 'stage' not in capsys.readouterr().err


def test_reversed_pairs_are_written_before_the_first_stage(run_train, tmp_path, monkeypatch):
    cache.pack(build_faces('celeba', layouts.celeba(tmp_path / 'celeba')), tmp_path / 'cache', face_frame(32))
    frozen = tiny_perception()
    monkeypatch.setattr(recipes, 'load_parser', lambda name: frozen.parser)
    monkeypatch.setattr(recipes, 'load_embedder', lambda name: frozen.id_encoder)
    calls = []
    monkeypatch.setattr(recipes, 'reverse_cache', lambda root, name, **options: calls.append((root, name)) or
                        reversal.reverse(root, lambda batch: -batch.target, frozen.parser.labels, name=name, per_image=1))
    recipe = write(tmp_path / 'r.yaml', reversed={'weights': 'cgan'},
                   stages=[{'name': 'only', 'samples': 2, 'settings': {'data.name': 'cache', 'data.reversed': 1.0}}])
    assert run_train('--recipe', recipe, '--root', tmp_path / 'cache', '--out', tmp_path / 'out', settings=TINY) == 0
    assert calls == [(str(tmp_path / 'cache'), 'cgan')] and (tmp_path / 'cache' / 'reversed.npz').is_file()


@pytest.mark.parametrize(('changes', 'message'), [
    ({'stages': []}, 'stages does not fit'),
    ({'stage': []}, 'stage does not fit'),
    ({'stages': [{'name': 'one', 'samples': 1}, {'name': 'one', 'samples': 1}]}, 'two stages are called one'),
    ({'stages': [{'name': 'one', 'samples': 1, 'settings': {'engine.stepz': 1}}]}, 'did you mean steps'),
    ({'reversed': {'weights': 'cgan'}}, 'require a cache; pack one with scripts/prepare_data.py'),
    ({'init': 'nothing'}, "unknown weights 'nothing'"),
])
def test_invalid_recipe_raises_one_sentence(run_train, tmp_path, capsys, changes, message):
    assert run_train('--recipe', write(tmp_path / 'r.yaml', **changes), '--out', tmp_path / 'out', settings=TINY) == 2
    errors = capsys.readouterr().err
    assert message in errors and errors.count('\n') == 1


def test_unknown_recipe_raises_and_lists_the_available_names(run_train, capsys):
    assert run_train('--recipe', 'nothing') == 2
    assert 'cgan-128' in capsys.readouterr().err
