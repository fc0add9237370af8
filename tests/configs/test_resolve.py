"""Resolution of presets and overrides."""
import pytest

from configs.resolve import dump, load, merge, parse_override, read_preset, resolve

MODEL = {'size': 64, 'weights': {'id': 5.0, 'reconstruction': 1.0}}


def build(*overrides: str, preset: dict | None = None):
    return resolve('cvae', MODEL, preset or {}, [parse_override(text) for text in overrides])


def test_later_overrides_replace_earlier_ones():
    config = build('engine.steps=7', preset={'engine': {'steps': 5, 'seed': 3}, 'model': {'weights': {'id': 2}}})
    assert (config.engine.steps, config.engine.seed) == (7, 3)
    assert config.model == {'size': 64, 'weights': {'id': 2, 'reconstruction': 1.0}}


@pytest.mark.parametrize(('text', 'value'), [('1e-4', 1e-4), ('3', 3), ('true', True), ('null', None), ('[0.5, 0.9]', [0.5, 0.9]),
                                             ('celeba', 'celeba')])
def test_override_values_are_read_as_yaml(text, value):
    assert parse_override(f'a.b={text}') == {'a': {'b': value}}


@pytest.mark.parametrize(('override', 'message'), [
    ('engine.stps=3', r'there is no setting engine\.stps; did you mean steps'),
    ('model.weights.i=0', r'model\.weights\.i; did you mean id'),
    ('engin.steps=3', r'there is no setting engin; did you mean engine'),
    ('engine.steps=many', r'engine\.steps does not fit.*many'),
    ('engine.steps=0', r'engine\.steps does not fit.*greater than or equal to 1'),
    ('engine=3', r'engine is a section'),
    ('engine.steps', r'write it as section\.key=value'),
    ('engine.steps=[1', r'not readable as YAML'),
    ('family=cgan', r"is for the family 'cgan'"),
])
def test_invalid_override_raises_with_one_sentence(override, message):
    with pytest.raises(ValueError, match=message) as caught:
        build(override)
    assert '\n' not in str(caught.value)


def test_new_parameter_group_starts_from_the_default():
    config = build(
        'param_groups.discriminator.lr=1e-3',
        preset={'param_groups': {'discriminator': {'betas': [0.0, 0.9]}, 'default': {'name': 'adam'}}},
    )
    assert config.param_groups['discriminator'].model_dump() == {
        **config.param_groups['default'].model_dump(),
        'lr': 1e-3,
        'betas': (0.0, 0.9),
    }
    assert config.param_groups['discriminator'].name == 'adam'


def test_merge_modifies_neither_argument():
    base, change = {'a': {'b': 1}}, {'a': {'b': 2}}
    assert merge(base, change) == {'a': {'b': 2}}
    assert base == {'a': {'b': 1}}


def test_dumped_config_loads_unchanged(tmp_path):
    config = build('engine.steps=7', 'param_groups.discriminator.lr=1e-5')
    (tmp_path / 'config.yaml').write_text(dump(config))
    assert load(tmp_path / 'config.yaml') == config


def test_folder_without_a_config_is_refused(tmp_path):
    with pytest.raises(ValueError, match='is no run'):
        load(tmp_path / 'config.yaml')


def test_preset_is_read_by_path_and_by_name(tmp_path):
    path = tmp_path / 'preset.yaml'
    path.write_text('engine: {steps: 3}')
    assert read_preset(str(path)) == {'engine': {'steps': 3}}
    with pytest.raises(ValueError, match="no preset 'nothing'"):
        read_preset('nothing')
    path.write_text('- a list')
    with pytest.raises(ValueError, match='holds no settings'):
        read_preset(str(path))
