import json

from models.storage.strict_json import json_text


def test_numbers_that_are_not_finite_are_null_at_any_depth():
    text = json_text({'a': [float('nan'), (1.5, float('-inf'))], 'b': {'c': float('inf')}, 'd': None, 'e': 'NaN'})
    assert json.loads(text) == {'a': [None, [1.5, None]], 'b': {'c': None}, 'd': None, 'e': 'NaN'}
