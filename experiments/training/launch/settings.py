"""Resolved configs of new and of resumed runs. A setting that has no effect on the family and the data set is refused."""
from collections.abc import Sequence
from pathlib import Path

from configs.base import needing
from configs.data import RecognitionData
from configs.ignored import ignored_in, refuse_ignored, without_ignored
from configs.resolve import PRESETS, checked, load, read_preset, reopened, resolve
from configs.schema import RunConfig
from models.registry import family_entry, family_types


def ignored_settings(config: RunConfig) -> dict[str, str]:
    """Dotted settings that have no effect on a run -> reason."""
    model = checked(family_types(config.family)[1], config.model, 'model.')
    networks = model.networks()
    if 'teacher' in networks and config.perception.teacher is None:
        networks = networks | {'id_encoder'}
    unused = {f'perception.{name}': 'it needs a loss or a condition that uses this network' for name, value in config.perception
              if value and name not in networks}  # None and False switch a network off, which is always allowed
    if isinstance(config.data, RecognitionData):
        unused |= needing('the loss distill, that of a teacher', bool(model.weights.get('distill')),
                          'data.validation_batches', 'data.validation_partition')
    return {**ignored_in(config), **ignored_in(model, 'model.'), **unused}


def started(family: str, preset: str | None, overrides: list[dict], *, inherited: Sequence[dict] = ()) -> RunConfig:
    """The resolved config of a new run, whose settings without effect have their defaults.

    Args:
        family: name of the family.
        preset: path of a YAML file, or its name in configs/; None for the defaults.
        overrides: nested settings, each of which replaces those before it.
        inherited: overrides that, like a preset in configs/, may hold settings that another override leaves without effect.

    Raises:
        ValueError: a preset or an override does not fit or has no effect; one sentence.
    """
    entry = family_entry(family)
    model, data = entry.load()[1]().model_dump(), entry.data_section
    settings = read_preset(preset) if preset else {}
    in_configs = preset and (PRESETS / f'{preset}.yaml').is_file()
    defaults = resolve(family, model, {}, [], data)
    before = resolve(family, model, settings if in_configs else {}, list(inherited), data)
    config = resolve(family, model, settings, overrides, data)
    ignored = ignored_settings(config)
    refuse_ignored(config, [before, defaults], ignored)
    return without_ignored(config, defaults, ignored)


def resumed(run: Path, overrides: list[dict]) -> RunConfig:
    """The config of a run folder with changes; ValueError as for `started`."""
    config = reopened(run, overrides)
    refuse_ignored(config, [load(run / 'config.yaml')], ignored_settings(config))
    return config
