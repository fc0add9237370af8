"""JSON as RFC 8259 has it, which knows no NaN and no infinity."""
import json
import math


def json_text(value, **options) -> str:
    """json.dumps with null in the place of numbers that are not finite, which Python would write as NaN and Infinity."""
    return json.dumps(_finite(value), allow_nan=False, **options)


def _finite(value):
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
