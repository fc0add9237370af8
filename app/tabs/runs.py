"""Tab for the results of training and evaluation: learning curves, image grids, tables, reports."""
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from app.images import MAX_IMAGE_PX
from app.results import ResultFolder, find_results
from app.selection import first_or_none
from app.tasks import user_messages
from experiments.evaluation.plots import curve
from experiments.training.logging.journal import learning_curves
from models.pipelines.io.images import read_image

_MAX_IMAGES = 8  # the newest ones are shown
_MAX_REPORT_BYTES = 32 * 2 ** 20


def tab(roots: list[Path]) -> None:
    """Add the tab to the page under construction. roots: folders of results."""
    with gr.Tab('Runs', id='runs') as this_tab:
        names = list(find_results(roots))
        name = gr.Dropdown(names, value=first_or_none(names), label='Result (newest first)', elem_id='runs-name')
        heading = gr.Markdown(elem_id='runs-heading')
        tables = gr.Markdown(elem_id='runs-tables')
        curves = gr.HTML(elem_id='runs-curves')
        grids = gr.Gallery(label='Images (newest first)', elem_id='runs-grids', columns=2, fit_columns=False,
                           object_fit='contain', format='png', interactive=False, buttons=['fullscreen'], height='auto')
        report = gr.HTML(elem_id='runs-report')
        with gr.Accordion('Config', open=False):
            config = gr.Code(language='yaml', interactive=False, show_label=False)
        outputs = [heading, tables, curves, grids, report, config]

        def show(name: str | None) -> tuple:
            with user_messages():
                result = find_results(roots).get(name or '')
                if result is None:
                    return 'There are no results yet.', '', '', gr.update(value=[], visible=False), '', ''
                images = [(read_image(path, MAX_IMAGE_PX), path.stem) for path in result.images[:_MAX_IMAGES]]
                return (f'**{_escaped_markdown(result.name)}**', '\n\n'.join(map(_read, result.tables)), _curves(result),
                        gr.update(value=images, visible=bool(images)), _report(result),
                        _read(result.config) if result.config else '')

        def update_names(name: str | None) -> dict[str, Any]:
            names = list(find_results(roots))
            return gr.update(choices=names, value=name if name in names else first_or_none(names))

        name.input(show, name, outputs, show_progress='minimal', api_visibility='private')
        this_tab.select(update_names, name, name, show_progress='hidden', api_visibility='private').then(
            show, name, outputs, show_progress='minimal', api_visibility='private')


def _read(path: Path) -> str:
    return path.read_text(encoding='utf-8', errors='replace')


def _curves(result: ResultFolder) -> str:
    lines = sorted(learning_curves(result.folder).items())
    figures = [f'<figure><figcaption>{escape(name)}</figcaption>{curve({name: line}, [name])}</figure>' for name, line in lines]
    return f'<div class="curves">{"".join(figures)}</div>'


def _report(result: ResultFolder) -> str:
    """The report of an ablation in a sandboxed frame."""
    if result.report is None:
        return ''
    if result.report.stat().st_size > _MAX_REPORT_BYTES:
        return f'<p>{escape(result.report.name)} is too large to be shown here; open it from its folder.</p>'
    page = escape(_read(result.report), quote=True)
    return f'<iframe title="report" class="report" sandbox="allow-scripts" srcdoc="{page}"></iframe>'


def _escaped_markdown(name: str) -> str:
    return ''.join(f'\\{character}' if character in '\\`*_{}[]<>#|' else character for character in name)
