"""Family and weights, chosen by name."""
from collections.abc import Callable

import gradio as gr

from app.networks import Chosen

Choices = dict[str, dict[str, Chosen]]


def family_and_weights(choices: Callable[[], Choices], tab: gr.Tab, elem_id: str) -> tuple[gr.Dropdown, gr.Dropdown]:
    """Two lists, looked up anew whenever the tab is opened."""
    here = choices()
    family = _first(here)
    families = gr.Dropdown(list(here), value=family, label='Family', elem_id=f'{elem_id}-family')
    names = list(here.get(family, ()))
    weights = gr.Dropdown(names, value=names[0] if names else None, label='Weights', min_width=240,
                          elem_id=f'{elem_id}-weights')

    def names_of(family: str | None):
        names = list(choices().get(family, ()))
        return gr.update(choices=names, value=names[0] if names else None)

    def reopened(family: str | None, name: str | None):
        here = choices()
        family = family if here.get(family) else _first(here)
        names = list(here.get(family, ()))
        return (gr.update(choices=list(here), value=family),
                gr.update(choices=names, value=name if name in names else names[0] if names else None))

    families.input(names_of, families, weights, show_progress='hidden', api_visibility='private')
    tab.select(reopened, [families, weights], [families, weights], show_progress='hidden', api_visibility='private')
    return families, weights


def chosen(choices: Choices, family: str | None, name: str | None, example: str) -> Chosen:
    """What was chosen; ValueError, with what to do, where there is nothing. example: a family that could be trained."""
    found = choices.get(family, {}).get(name)
    if found is None:
        family = family or example
        raise ValueError(f'there are no such weights of {family} here: train it with `python scripts/train.py --family {family}` '
                         'and start the page with the folder of its run as --runs')
    return found


def _first(choices: Choices) -> str | None:
    """The first family that has weights."""
    return next((family for family, names in choices.items() if names), next(iter(choices), None))
