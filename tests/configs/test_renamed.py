"""Conversion of names in files of earlier versions."""
import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file

from configs import renamed
from configs.ablation import AblationConfig
from configs.data import CauseData, PairData, ParsingData, RecognitionData, SwapData
from configs.renamed import renamed_argument, renamed_array, renamed_metrics, renamed_settings, renamed_video_state
from configs.resolve import load, merge
from experiments.training.logging.journal import learning_curves, read_journal
from experiments.training.state.checkpoint import Checkpoints
from models.registry import load_family
from models.weights import ZOO
from scripts import train

# run: two steps of an earlier version; resumed.safetensors: the weights after a third step
EARLIER = Path(__file__).resolve().parents[1] / 'fixtures' / 'earlier'


@pytest.fixture
def run(tmp_path):
    return Path(shutil.copytree(EARLIER / 'run', tmp_path / 'run'))


@pytest.fixture(autouse=True)
def reset_warnings(monkeypatch):
    monkeypatch.setattr(renamed, '_warned', set())


def test_run_of_an_earlier_version_resumes_with_equal_weights(run):
    assert train.main(['--resume', str(run), '--steps', '3']) == 0
    trained, expected = load_file(run / 'family.safetensors'), load_file(EARLIER / 'resumed.safetensors')
    expected = {name.replace('critic', 'discriminator'): value for name, value in expected.items()}
    assert trained.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(trained[name], value, rtol=1e-3, atol=1e-4)  # one step changes weights by 1e-3
    steps = [line['step'] for line in read_journal(run) if 'train/discriminator' in line]
    assert steps == [1, 2, 3]


def test_learning_curves_continue_those_of_the_earlier_version(run):
    train.main(['--resume', str(run), '--steps', '3'])
    curves = learning_curves(run)
    assert [step for step, _ in curves['train/id']] == [1, 2, 3]
    assert not any('critic' in name or 'drift' in name.split('/') for name in curves)
    assert {'metrics/id_source', 'metrics/real_accuracy', 'validation/fake_accuracy'} <= curves.keys()


@pytest.mark.parametrize(('family', 'old', 'new'), [
    ('cgan', 'seen/identity_source', 'metrics/id_source'), ('cgan', 'validation/identity_target', 'validation/id_target'),
    ('cvae', 'seen/real_right', 'metrics/real_accuracy'), ('cyclegan', 'rate/critics', 'lr/discriminators'),
    ('cyclegan', 'seen/critic_a_right_on_fake', 'metrics/discriminator_a_fake_accuracy'),
    ('cyclegan', 'train/identity', 'train/identity_mapping'), ('ddpm', 'gradient/denoiser', 'grad_norm/denoiser'),
    ('ddpm', 'pictures_per_second', 'images_per_second'),
])
def test_keys_of_metrics_are_converted(family, old, new):
    assert renamed_metrics({old: 1.0}, family) == renamed_metrics({new: 1.0}, family) == {new: 1.0}


def test_best_checkpoint_of_an_earlier_run_is_found(run):
    best = renamed_settings({'engine': {'best': 'validation/identity'}}, 'cgan')['engine']['best']
    assert best == 'validation/id'
    assert Checkpoints(run / 'checkpoints', 1, best, family='cgan').best().name == 'step-00000002'


def test_converted_settings_keep_their_values(run):
    written = yaml.safe_load((run / 'config.yaml').read_text())
    config = load(run / 'config.yaml')
    assert config.param_groups['discriminator'].lr == written['players']['critic']['lr'] == 1e-4
    assert config.model['weights']['id_drift'] == written['model']['weights']['drift'] == 1
    assert config.model['generator']['id_dim'] == 128 and config.model['generator']['skips'] == 'background_image'
    assert config.engine.image_every == written['engine']['picture_every']
    assert config.perception.id_encoder == written['perception']['identity']


@pytest.mark.parametrize(('family', 'loss'), [('cgan', 'id'), ('satnet', 'id'), ('cyclegan', 'identity_mapping')])
def test_identity_weight_is_converted_by_family(family, loss):
    assert renamed_settings({'model': {'weights': {'identity': 2}}}, family) == {'model': {'weights': {loss: 2}}}


def test_value_film_becomes_adagn():
    old = {'model': {'generator': {'injection': 'film'}}}
    assert renamed_settings(old, 'cgan') == {'model': {'generator': {'injection': 'adagn'}}}


@pytest.mark.parametrize(('family', 'old', 'new'), [
    ('stargan', 'mapping_pace', 'mapping_lr_scale'), ('cartoongan', 'initialisation', 'initialization_steps'),
    ('ugatit', 'cam_sees', 'cam_input'), ('recognizer', 'people', 'num_identities'),
])
def test_settings_of_translators_are_converted(family, old, new):
    with pytest.warns(FutureWarning, match=f'model.{old} is now called model.{new}'):
        assert renamed_settings({'model': {old: 1}}, family) == {'model': {new: 1}}


def test_old_keys_of_overrides_are_accepted_with_a_warning(tmp_path, capsys):
    with pytest.warns(FutureWarning, match='model.weights.recovered is now called model.weights.id_encoder'):
        assert renamed_settings({'model': {'weights': {'recovered': 1}}}, 'cgan')['model']['weights'] == {'id_encoder': 1}
    settings = merge({'param_groups': {'default': {'lr': 1}}}, renamed_settings({'players': {'critic': {'lr': 2}}}))
    assert settings['param_groups']['discriminator'] == {'lr': 2}


def test_current_names_raise_no_warning(recwarn):
    settings = load(EARLIER / 'run' / 'config.yaml').model_dump()
    recwarn.clear()
    renamed._warned.clear()
    assert renamed_settings(settings, settings['family']) == settings
    assert not recwarn.list


def test_data_settings_of_other_tasks_are_dropped(run):
    assert load(run / 'config.yaml').data.model_dump().keys() == SwapData.model_fields.keys()
    settings = yaml.safe_load((run / 'config.yaml').read_text())
    sections = {'ugatit': PairData, 'recognizer': RecognitionData, 'parser': ParsingData, 'causes': CauseData}
    for family, section in sections.items():
        assert renamed_settings(settings, family, warn=False)['data'].keys() == section.model_fields.keys()


def test_changed_data_setting_of_another_task_is_refused(run):
    settings = yaml.safe_load((run / 'config.yaml').read_text())
    settings['data']['crops'] = 0.5
    (run / 'config.yaml').write_text(yaml.safe_dump(settings))
    with pytest.raises(ValueError, match='data.crops=0.5 has no effect on the family cgan'):
        load(run / 'config.yaml')


def test_families_of_an_earlier_run_and_of_the_zoo_load(run):
    family = load_family(run / 'family.safetensors', None)
    stored = load_file(run / 'family.safetensors')
    for name, value in stored.items():
        assert torch.equal(family.state_dict()[name.replace('critic', 'discriminator')], value.float())
    with safe_open(ZOO / 'cgan.safetensors', 'pt') as handle:
        weights = json.loads(handle.metadata()['config'])['weights']
    assert load_family(ZOO / 'cgan.safetensors', None).config.weights['id'] == weights.get('id', weights.get('identity'))


def test_metrics_and_arrays_of_evaluations_are_converted():
    assert renamed_metrics({'colour_distance': {'mean': 0.1}, 'fid': {'mean': 2.0}}) == {
        'color_distance': {'mean': 0.1}, 'fid': {'mean': 2.0}}
    assert [renamed_array(name) for name in ('source_person', 'colours', 'wanted_colours', 'wanted_features', 'edges')] == [
        'source_label', 'colors', 'target_colors', 'target_features', 'edges']
    config = AblationConfig(question='?', base={'family': 'cut'}, variants={'a': {}}, columns=['colour_distance', 'edges'])
    assert config.columns == ['color_distance', 'edges']


def test_state_of_an_interrupted_video_is_converted():
    earlier = {'tracker': {'people': [{'looks': 1, 'count': 2, 'box': None}], 'tracks': {3: {'person': 0, 'misses': 1}}},
               'steady': {3: {'filmed': 4, 'made': 5, 'mask': 6, 'change': 7, 'still': 8}}, 'next': 9, 'stamps': [10]}
    assert renamed_video_state(earlier) == {
        'tracker': {'identities': [{'embedding_sum': 1, 'count': 2, 'box': None}], 'tracks': {3: {'identity': 0, 'misses': 1}}},
        'smoothing': {3: {'face': 4, 'generated': 5, 'mask': 6, 'color_transfer': 7, 'stillness': 8}}, 'next': 9, 'stamps': [10]}


def test_value_of_an_option_is_converted_with_a_warning(monkeypatch):
    monkeypatch.setattr(renamed, '_warned', set())
    with pytest.warns(FutureWarning, match='the value .* is now called image'):
        assert renamed_argument('pic' 'ture') == 'image'
    assert renamed_argument('denoiser') == 'denoiser'


def test_tensors_of_earlier_modules_take_the_new_names():
    earlier = {'critic.conv.weight': 1, 'critics.0.bias': 2, 'tell.0.weight': 3, 'read.bias': 4, 'generator.reading.weight': 5}
    assert renamed.renamed_tensors(earlier) == {
        'discriminator.conv.weight': 1, 'discriminators.0.bias': 2, 'domain_classifier.0.weight': 3, 'teacher_head.bias': 4,
        'generator.reading.weight': 5}


def test_files_of_an_earlier_version_are_named_once_in_a_warning(run, tmp_path):
    with pytest.warns(FutureWarning) as caught:
        load(run / 'config.yaml')
        load(run / 'config.yaml')
        read_journal(run)
    messages = [str(warning.message) for warning in caught]
    assert len(messages) == 2 and all('such as' in message and 'converted on reading' in message for message in messages)
    assert f'{run / "config.yaml"} has names of an earlier version' in messages[0]
    assert str(run / 'journal.jsonl') in messages[1]


def test_weights_of_an_earlier_version_are_named_in_a_warning_and_those_of_the_zoo_are_not(tmp_path, recwarn):
    load_family(ZOO / 'cgan.safetensors', None)
    assert not [warning for warning in recwarn if 'earlier version' in str(warning.message)]
    copy = shutil.copy(ZOO / 'cgan.safetensors', tmp_path / 'own.safetensors')
    with pytest.warns(FutureWarning, match='own.safetensors has names of an earlier version, such as .*, now .*'):
        load_family(copy, None)
