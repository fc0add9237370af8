"""Selection of weights by name."""
import pytest

from app.selection import selected_weights


def test_family_without_weights_raises_value_error_with_training_command():
    with pytest.raises(ValueError, match='train.py --family ddpm'):
        selected_weights({'ddpm': {}}, 'ddpm', None, 'cgan')
    with pytest.raises(ValueError, match='train.py --family cgan'):
        selected_weights({}, None, None, 'cgan')
