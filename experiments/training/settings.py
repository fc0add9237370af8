"""The settings of a run against what its family and its data use."""
from collections.abc import Sequence
from pathlib import Path

from configs.ignored import ignored_in, refuse_ignored, without_ignored
from configs.resolve import PRESETS, checked, load, read_preset, reopened, resolve
from configs.schema import RunConfig
from datasets.settings import ignored_data
from models.base import FamilyConfig


def ignored_settings(config: RunConfig, schema: type[FamilyConfig], batch: type) -> dict[str, str]:
    """Dotted settings that have no effect on a run -> why. schema: of config.model; batch: the type of its batches."""
    model = checked(schema, config.model)
    asked = model.networks()
    if 'teacher' in asked and config.perception.teacher is None:
        asked = asked | {'id_encoder'}
    networks = {f'perception.{name}': 'it needs a loss or a condition that asks this network' for name, value in config.perception
                if value and name not in asked}  # None and False switch a network off, which is never in vain
    data = {f'data.{name}': why for name, why in ignored_data(batch, config.data).items()}
    return {**ignored_in(config), **ignored_in(model, 'model.'), **data, **networks}


def effective(config: RunConfig, before: RunConfig, defaults: RunConfig, schema: type[FamilyConfig], batch: type) -> RunConfig:
    """The config with settings that have no effect at their defaults. ValueError, one sentence, where one of them was set since
    `before`: the preset alone, or the run that is resumed."""
    ignored = ignored_settings(config, schema, batch)
    refuse_ignored(config, [before, defaults], ignored)
    return without_ignored(config, defaults, ignored)


def started(family: str, schema: type[FamilyConfig], batch: type, preset: str | None, overrides: list[dict], *,
            inherited: Sequence[dict] = (), defaults: FamilyConfig | None = None) -> RunConfig:
    """The resolved config of a new run. ValueError, one sentence, where a preset or an override does not fit or would be ignored;
    presets of the suite, and overrides that are `inherited` too, may hold settings that another override leaves without effect.
    defaults: of the model, instead of the schema's."""
    usual, settings = (defaults or schema()).model_dump(), read_preset(preset) if preset else {}
    plain = resolve(family, usual, {}, [])
    of_suite = preset and (PRESETS / f'{preset}.yaml').is_file()
    before = resolve(family, usual, settings if of_suite else {}, list(inherited))
    return effective(resolve(family, usual, settings, overrides), before, plain, schema, batch)


def resumed(run: Path, overrides: list[dict], schema: type[FamilyConfig], batch: type) -> RunConfig:
    """The config of a run folder with changes; ValueError as for `started`."""
    config = reopened(run, overrides)
    refuse_ignored(config, [load(run / 'config.yaml')], ignored_settings(config, schema, batch))
    return config
