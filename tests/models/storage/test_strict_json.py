"""JSON without NaN and infinities."""
import json

from models.storage.strict_json import json_text


def test_non_finite_numbers_become_null_at_any_depth():
    text = json_text({'a': [float('nan'), (1.5, float('-inf'))], 'b': {'c': float('inf')}, 'd': None, 'e': 'NaN'})
    assert json.loads(text) == {'a': [None, [1.5, None]], 'b': {'c': None}, 'd': None, 'e': 'NaN'}
