"""JSON as in RFC 8259, without NaN and infinities."""
import json
import math
from typing import Any


def json_text(value: object, **options: Any) -> str:
    """`json.dumps` with null for numbers that are not finite; options are those of json.dumps."""
    return json.dumps(_finite(value), allow_nan=False, **options)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
