"""The base of every typed configuration: frozen, and an unknown key is an error that names it."""
from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """A frozen pydantic model; `Config(**mapping)` raises pydantic.ValidationError on an unknown key or a wrong type."""

    model_config = ConfigDict(frozen=True, extra='forbid', protected_namespaces=())
