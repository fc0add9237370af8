"""Base class of every typed config."""
from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """A frozen pydantic model. `Config(**mapping)` raises pydantic.ValidationError for an unknown key, a wrong type and a number
    that is not finite."""

    model_config = ConfigDict(frozen=True, extra='forbid', protected_namespaces=(), allow_inf_nan=False)

    def ignored(self) -> dict[str, str]:
        """Settings, dotted relative to this config, that have no effect with the values of the others -> reason, as a clause."""
        return {}


def needing(requirement: str, is_met: object, *names: str) -> dict[str, str]:
    """Entries of `Config.ignored` for the settings `names`; empty where their requirement is met."""
    return {} if is_met else dict.fromkeys(names, f'it needs {requirement}')
