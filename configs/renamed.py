"""Names in files of earlier versions and the names that replace them: config keys, journal keys, tensors, metadata, metrics.

Readers of files convert what they read by these functions. No other module contains the old names.
"""
import re
import warnings
from pathlib import Path
from typing import Any, NamedTuple

from configs.data import SECTIONS, DataConfig

_FACE_ID = ('cgan', 'cvae', 'ddpm', 'satnet', 'cartoongan')  # families whose loss `identity` compared faces
_IDENTITY_MAPPING = ('cyclegan', 'dtn', 'cut', 'ugatit')  # families where it compared images


class _Rule(NamedTuple):
    """A renamed key. parent: its section, '' for the top level, None for any. families: to which the rule applies, None for
    all."""

    old: str
    new: str
    parent: str | None = None
    families: tuple[str, ...] | None = None


_RULES = (
    _Rule('players', 'param_groups', ''),
    _Rule('picture_every', 'image_every', 'engine'),
    _Rule('identity', 'id_encoder', 'perception'),
    _Rule('guide', 'distillation_teacher', 'perception'),
    _Rule('guide', 'distillation', 'weights'),
    _Rule('drift', 'id_drift', 'weights'),
    _Rule('recovered', 'id_encoder', 'weights'),
    _Rule('colour', 'color', 'weights'),
    _Rule('identity', 'id', 'weights', _FACE_ID),
    _Rule('identity', 'identity_mapping', 'weights', _IDENTITY_MAPPING),
    _Rule('identity', 'id_loss_form', 'model', ('satnet',)),
    _Rule('mapping_pace', 'mapping_lr_scale', 'model', ('stargan',)),
    _Rule('initialisation', 'initialization_steps', 'model', ('cartoongan',)),
    _Rule('cam_sees', 'cam_input', 'model', ('ugatit',)),
    _Rule('people', 'num_identities', 'model', ('recognizer',)),
    _Rule('identity', 'id_dim', 'model'),
    _Rule('identity', 'id_dim', 'generator'),
    _Rule('identity_form', 'id_loss_form'),
    _Rule('drop_identity', 'drop_id'),
    _Rule('towards', 'id_guidance', 'sampling'),
    _Rule('planes', 'condition_channels', 'generator'),
    _Rule('plate', 'background_image', 'generator'),
)
_VALUES = {('generator', 'skips'): {'plate': 'background_image'}, ('generator', 'injection'): {'film': 'adagn'}}
# Keys and defaults of the section `data` when it was the same for every family.
_COMMON_DATA: dict[str, Any] = {
    'name': 'synthetic', 'root': None, 'same_ratio': 0.5, 'partition': 'train', 'validation_partition': 'validation',
    'augment': True, 'crops': 0.0, 'balanced': False, 'exaggerate': 0.0,
    'matching': {'space': 'none', 'to_a': 0.5, 'ratio': 1.0},
}
_DATA: dict[str, type[DataConfig]] = {
    **dict.fromkeys(('cgan', 'cvae', 'ddpm', 'pix2pixhd'), SECTIONS['swap']),
    **dict.fromkeys(('cyclegan', 'cut', 'stargan', 'xgan', 'dtn', 'cartoongan', 'munit', 'satnet', 'ugatit'),
                    SECTIONS['translate']),
    'recognizer': SECTIONS['identity'], 'parser': SECTIONS['parsing'], 'causes': SECTIONS['causes'],
}
_CRITIC = re.compile(r'(?<![a-z])critic(s?)(?![a-z])')  # as a whole word of a snake_case or dotted name
_METRICS = {'pictures_per_second': 'images_per_second', 'identity_source': 'id_source', 'identity_target': 'id_target',
            'real_right': 'real_accuracy', 'fake_right': 'fake_accuracy',
            'colour_distance': 'color_distance'}
_METRIC_SECTIONS = {'seen': 'metrics', 'rate': 'lr', 'gradient': 'grad_norm'}
_ACCURACY = re.compile('_right_on_(real|fake)$')  # of a discriminator of CycleGAN
_MODULES = {'tell': 'domain_classifier', 'read': 'teacher_head'}  # of XGAN
_METADATA = {'learnt_from': 'learned_from', 'licence': 'license'}
_CHECKPOINT = {'optimisers': 'optimizers', 'chance': 'rng', 'memory': 'extra_state'}
_ARGUMENTS = {'picture': 'image'}
_ARRAYS = {'source_person': 'source_label', 'target_person': 'target_label', 'colours': 'colors',
           'wanted_colours': 'target_colors', 'wanted_colors': 'target_colors', 'wanted_features': 'target_features',
           'wanted_identity': 'target_identity'}
_VIDEO_STATE = {'looks': 'embedding_sum', 'people': 'identities', 'person': 'identity', 'steady': 'smoothing', 'filmed': 'face',
                'made': 'generated', 'change': 'color_transfer', 'still': 'stillness'}
_warned: set[str] = set()


def _renamed(key: str, parent: str, family: str) -> str:
    for rule in _RULES:
        if rule.old == key and rule.parent in (None, parent) and (rule.families is None or family in rule.families):
            return rule.new
    return _CRITIC.sub(r'discriminator\1', key)


def _warn(old: str, new: str, what: str = 'setting', stacklevel: int = 4) -> None:
    if old not in _warned:
        _warned.add(old)
        warnings.warn(f'the {what} {old} is now called {new}; replace it', FutureWarning, stacklevel=stacklevel)


def _warn_of_file(file: str | Path, old: str, new: str, stacklevel: int = 4) -> None:
    if str(file) not in _warned:
        _warned.add(str(file))
        warnings.warn(f'{file} has names of an earlier version, such as {old}, now {new}; they are converted on reading',
                      FutureWarning, stacklevel=stacklevel)


def renamed_settings(settings: dict[str, Any], family: str = '', parents: tuple[str, ...] = (), *,
                     warn: bool = True, file: str | Path | None = None) -> dict[str, Any]:
    """Nested settings with the names of this version.

    Args:
        settings: the settings.
        family: the family of their section `model`.
        parents: the sections that contain them, from the top; ('model',) for a family's own config.
        warn: warn about old names (FutureWarning), once per process and name; False for the files of models/zoo.
        file: the generated file that holds the settings; the warning names it and appears once per file.

    Raises:
        ValueError: a setting of another task in a section `data` with the keys of all tasks.
    """
    section: str = parents[-1] if parents else ''
    result: dict[str, Any] = {}
    if not parents and isinstance(settings.get('data'), dict):
        settings = {**settings, 'data': _of_task(settings['data'], family)}
    for key, value in settings.items():
        new = _renamed(key, section, family) if isinstance(key, str) else key
        if warn and new != key:
            names = '.'.join((*parents, key)), '.'.join((*parents, new))
            _warn(*names) if file is None else _warn_of_file(file, *names)
        if isinstance(value, dict):
            value = renamed_settings(value, family, (*parents, str(new)), warn=warn, file=file)
        elif isinstance(value, str):
            value = renamed_metric(value, family) if (section, new) == ('engine', 'best') else value
            value = _VALUES.get((section, new), {}).get(value, value)
        result[new] = value
    return result


def _of_task(data: dict[str, Any], family: str) -> dict[str, Any]:
    """A section `data` that has the keys of every task, with those of the family's task. ValueError where another key does not
    have its default."""
    if family not in _DATA or not _COMMON_DATA.keys() <= data.keys():
        return data
    others = _COMMON_DATA.keys() - _DATA[family].model_fields.keys()
    for key in sorted(others):
        if data[key] != _COMMON_DATA[key]:
            raise ValueError(f'data.{key}={data[key]} has no effect on the family {family}; remove it from the file')
    return {key: value for key, value in data.items() if key not in others}


def renamed_tensors(state: dict[str, Any]) -> dict[str, Any]:
    """A state dict with the names of this version's modules."""
    def renamed(name: str) -> str:
        module, dot, rest = _CRITIC.sub(r'discriminator\1', name).partition('.')
        return f'{_MODULES.get(module, module)}{dot}{rest}'

    return {renamed(name): value for name, value in state.items()}


def renamed_metadata(metadata: dict[str, str]) -> dict[str, str]:
    """The metadata of a safetensors file."""
    return {_METADATA.get(key, key): value for key, value in metadata.items()}


def renamed_checkpoint(state: dict[str, Any]) -> dict[str, Any]:
    """The content of a checkpoint's state.pt."""
    state = {_CHECKPOINT.get(key, key): value for key, value in state.items()}
    return {**state, 'optimizers': renamed_tensors(state['optimizers'])}


def renamed_metric(key: str, family: str = '') -> str:
    """A key of journal.jsonl or metrics.json. Losses stand under `train/` and `validation/`, other metrics under `metrics/` and
    `validation/`, learning rates under `lr/` and gradient norms under `grad_norm/`."""
    section, slash, name = key.partition('/')
    if not slash:
        return _METRICS.get(key, key)
    section = _METRIC_SECTIONS.get(section, section)
    name = _METRICS.get(name) or _renamed(name, 'weights' if section in ('train', 'validation') else section, family)
    return f'{section}/' + _ACCURACY.sub(r'_\1_accuracy', name)


def renamed_metrics(values: dict[str, Any], family: str = '', file: str | Path | None = None) -> dict[str, Any]:
    """A line of journal.jsonl, the content of metrics.json, or the figures of a row of a table, by metric. file: the file that
    holds it, for a warning about old names, once per file; None for no warning."""
    renamed = {renamed_metric(key, family): value for key, value in values.items()}
    if file is not None and (old := sorted(values.keys() - renamed.keys())):
        _warn_of_file(file, old[0], renamed_metric(old[0], family), 3)
    return renamed


def renamed_argument(value: str) -> str:
    """A value of a command-line option that is one of several words."""
    new = _ARGUMENTS.get(value, value)
    if new != value:
        _warn(value, new, 'value', 2)
    return new


def renamed_array(name: str) -> str:
    """The name of an array in the stored batches of an evaluation."""
    return _ARRAYS.get(name, name)


def renamed_video_state(state: Any) -> Any:
    """The state of an interrupted video conversion, with nested dictionaries and lists."""
    if isinstance(state, dict):
        return {_VIDEO_STATE.get(key, key): renamed_video_state(value) for key, value in state.items()}
    return [renamed_video_state(value) for value in state] if isinstance(state, list) else state
