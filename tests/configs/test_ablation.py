"""Configs of ablations."""
import re

import pytest

from configs.ablation import FOLDER, AblationConfig, overrides, read_ablation


def ablation(**changes):
    return AblationConfig(**{'question': 'why?', 'base': {'family': 'cvae', 'preset': 'cvae', 'settings': {'engine.steps': 5}},
                             'variants': {'off': {'settings': {'model.weights.id': 0}}}, **changes})


def test_variants_and_grid_are_changes_of_the_base():
    variants = {'off': {'settings': {'model.weights.id': 0}}, 'gan': {'family': 'cgan', 'settings': {'engine.steps': 7}}}
    changes = ablation(grid={'model.size': [32, 64], 'data.batch': [2]}, variants=variants).expanded()
    assert list(changes) == ['base', 'off', 'gan', 'size 32, batch 2', 'size 64, batch 2']
    assert changes['off'].settings == {'engine.steps': 5, 'model.weights.id': 0} and changes['off'].preset == 'cvae'
    assert (changes['gan'].family, changes['gan'].preset, changes['gan'].settings) == ('cgan', None, {'engine.steps': 7})
    assert overrides(changes['size 32, batch 2']) == [{'engine': {'steps': 5}}, {'model': {'size': 32}}, {'data': {'batch': 2}}]


@pytest.mark.parametrize(('text', 'message'), [
    ('question: q', 'base does not fit'),
    ('{question: q, base: {family: cvae}}', 'base alone is not compared'),
    ('{question: q, base: {family: cvae}, varients: {}}', 'varients does not fit'),
    ('{question: q, base: {family: cvae}, variants: {base: {}}}', 'of the base'),
    ('{question: q, base: {family: cvae}, variants: {a: {against: b}}}', "against 'b'"),
    ('{question: q', 'not readable as YAML'),
])
def test_invalid_file_raises_with_one_sentence(tmp_path, text, message):
    path = tmp_path / 'own.yaml'
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_ablation(str(path))
    assert '\n' not in str(caught.value)


def test_unknown_ablation_raises_and_lists_the_available_names():
    with pytest.raises(ValueError, match='quick'):
        read_ablation('nothing')


@pytest.mark.parametrize('path', sorted(FOLDER.glob('*.yaml')), ids=lambda path: path.stem)
def test_question_ends_with_a_question_mark(path):
    assert read_ablation(path.stem)[1].question.endswith('?')


@pytest.mark.parametrize('path', sorted(FOLDER.glob('*.yaml')), ids=lambda path: path.stem)
def test_numbers_in_the_name_of_a_variant_are_values_of_its_settings(path):
    """A variant such as `cosine, 8` sets the number in its name, so that the name stays correct where a default changes. Numbers
    in brackets are parts of the names of networks."""
    for name, change in read_ablation(path.stem)[1].expanded().items():
        stated = ' '.join(map(str, change.settings.values()))
        numbers = {float(number) for number in re.findall(r'(?<![\w.-])\d+(?:\.\d+)?(?![\w-])', stated)}
        for number in re.findall(r'(?<![\w.(-])\d+(?:\.\d+)?(?![\w-])', name):
            assert float(number) in numbers, f'{path.stem}: {name} is named {number} and sets {change.settings}'
