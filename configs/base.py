"""The base of every typed configuration: frozen, and an unknown key is an error that names it."""
from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """A frozen pydantic model; `Config(**mapping)` raises pydantic.ValidationError on an unknown key, a wrong type or a number
    that is not finite."""

    model_config = ConfigDict(frozen=True, extra='forbid', protected_namespaces=(), allow_inf_nan=False)

    def ignored(self) -> dict[str, str]:
        """Settings (dotted, from here) that have no effect beside the others -> why, as a clause."""
        return {}


def needing(what: str, given: object, *names: str) -> dict[str, str]:
    """An entry of `Config.ignored` for each name, unless `what` is given."""
    return {} if given else dict.fromkeys(names, f'it needs {what}')
