"""The base of every typed configuration: frozen, and an unknown key is an error that names it."""
from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """A frozen pydantic model; `Config(**mapping)` raises pydantic.ValidationError on an unknown key, a wrong type or a number
    that is not finite."""

    model_config = ConfigDict(frozen=True, extra='forbid', protected_namespaces=(), allow_inf_nan=False)
