"""Selection of a family and its weights by name."""
from collections.abc import Callable
from typing import Any

import gradio as gr

from app.networks import WeightsChoice

Choices = dict[str, dict[str, WeightsChoice]]  # family -> name of weights -> files


def weights_dropdowns(choices: Callable[[], Choices], tab: gr.Tab, elem_id: str) -> tuple[gr.Dropdown, gr.Dropdown]:
    """Dropdowns of the family and of its weights, updated when the tab is opened. elem_id: prefix of their ids."""
    available = choices()
    family = _default_family(available)
    families = gr.Dropdown(list(available), value=family, label='Family', elem_id=f'{elem_id}-family')
    names = _names(available, family)
    weights = gr.Dropdown(names, value=first_or_none(names), label='Weights', min_width=240, elem_id=f'{elem_id}-weights')

    def update_weights(family: str | None) -> dict[str, Any]:
        names = _names(choices(), family)
        return gr.update(choices=names, value=first_or_none(names))

    def update_both(family: str | None, name: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
        available = choices()
        family = family if _names(available, family) else _default_family(available)
        names = _names(available, family)
        return (gr.update(choices=list(available), value=family),
                gr.update(choices=names, value=name if name in names else first_or_none(names)))

    families.input(update_weights, families, weights, show_progress='hidden', api_visibility='private')
    tab.select(update_both, [families, weights], [families, weights], show_progress='hidden', api_visibility='private')
    return families, weights


def selected_weights(choices: Choices, family: str | None, name: str | None, example: str) -> WeightsChoice:
    """The selected weights. Raises ValueError with the training command if there are none. example: name of a family for that
    command if none is selected."""
    choice = choices.get(family or '', {}).get(name or '')
    if choice is None:
        family = family or example
        raise ValueError(f'there are no such weights of {family}: train it with `python scripts/train.py --family {family}` '
                         'and start the page with the folder of its run as --runs')
    return choice


def first_or_none(names: list[str]) -> str | None:
    """The first name, or None if there is none."""
    return names[0] if names else None


def _names(choices: Choices, family: str | None) -> list[str]:
    return list(choices.get(family or '', ()))


def _default_family(choices: Choices) -> str | None:
    """The first family that has weights, otherwise the first one."""
    return next((family for family, names in choices.items() if names), next(iter(choices), None))
