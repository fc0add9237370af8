import pytest

from configs.ablation import FOLDER, AblationConfig, overrides, read_ablation


def ablation(**changes):
    return AblationConfig(**{'question': 'why?', 'base': {'family': 'cvae', 'preset': 'cvae', 'settings': {'engine.steps': 5}},
                             'variants': {'off': {'settings': {'model.weights.id': 0}}}, **changes})


def test_variants_and_grid_stand_on_the_base():
    variants = {'off': {'settings': {'model.weights.id': 0}}, 'gan': {'family': 'cgan', 'settings': {'engine.steps': 7}}}
    found = ablation(grid={'model.size': [32, 64], 'data.batch': [2]}, variants=variants).expanded()
    assert list(found) == ['base', 'off', 'gan', 'size 32, batch 2', 'size 64, batch 2']
    assert found['off'].settings == {'engine.steps': 5, 'model.weights.id': 0} and found['off'].preset == 'cvae'
    assert (found['gan'].family, found['gan'].preset, found['gan'].settings) == ('cgan', None, {'engine.steps': 7})
    assert overrides(found['size 32, batch 2']) == [{'engine': {'steps': 5}}, {'model': {'size': 32}}, {'data': {'batch': 2}}]


@pytest.mark.parametrize(('text', 'message'), [
    ('question: q', 'base does not fit'),
    ('{question: q, base: {family: cvae}}', 'nothing to compare'),
    ('{question: q, base: {family: cvae}, varients: {}}', 'varients does not fit'),
    ('{question: q, base: {family: cvae}, variants: {base: {}}}', 'like the base'),
    ('{question: q, base: {family: cvae}, variants: {a: {against: b}}}', "against 'b'"),
    ('{question: q, base: {family: recognizer}, variants: {a: {family: cvae}}}', 'a and the base'),
    ('{question: q', 'not readable as YAML'),
])
def test_a_mistake_is_one_sentence(tmp_path, text, message):
    path = tmp_path / 'own.yaml'
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_ablation(str(path))
    assert '\n' not in str(caught.value)


def test_an_unknown_ablation_names_the_known_ones():
    with pytest.raises(ValueError, match='quick'):
        read_ablation('nothing')


@pytest.mark.parametrize('path', sorted(FOLDER.glob('*.yaml')), ids=lambda path: path.stem)
def test_every_ablation_asks_a_question(path):
    assert read_ablation(path.stem)[1].question.endswith('?')
