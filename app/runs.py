"""The tab that shows what was trained and measured: curves, image grids, tables, reports."""
from html import escape
from pathlib import Path

import gradio as gr

from app.images import PIXELS
from app.results import Result, results
from app.work import sentences
from experiments.evaluation.plots import curve
from experiments.training.logging.journal import learning_curves
from models.pipelines.io.images import read_image

_GRIDS = 8  # newest images that are shown
_REPORT = 32 * 2 ** 20  # bytes of the largest report that is shown


def tab(roots: list[Path]) -> None:
    """roots: folders of results."""
    with gr.Tab('Runs', id='runs') as here:
        names = list(results(roots))
        name = gr.Dropdown(names, value=names[0] if names else None, label='Result, the newest first', elem_id='runs-name')
        said = gr.Markdown(elem_id='runs-said')
        tables = gr.Markdown(elem_id='runs-tables')
        curves = gr.HTML(elem_id='runs-curves')
        grids = gr.Gallery(label='Images, the newest first', elem_id='runs-grids', columns=2, fit_columns=False,
                           object_fit='contain', format='png', interactive=False, buttons=['fullscreen'], height='auto')
        report = gr.HTML(elem_id='runs-report')
        with gr.Accordion('Config', open=False):
            config = gr.Code(language='yaml', interactive=False, show_label=False)

        def shown(name: str | None):
            with sentences():
                found = results(roots).get(name)
                if found is None:
                    return 'Nothing was trained or measured here yet.', '', '', gr.update(value=[], visible=False), '', ''
                images = [(read_image(path, PIXELS), path.stem) for path in found.images[:_GRIDS]]
                text = found.config.read_text(encoding='utf-8', errors='replace') if found.config else ''
                tables = [path.read_text(encoding='utf-8', errors='replace') for path in found.tables]
                return (f'**{_escaped(found.name)}**', '\n\n'.join(tables),
                        _curves(found), gr.update(value=images, visible=bool(images)), _report(found), text)

        def reopened(name):
            names = list(results(roots))
            return gr.update(choices=names, value=name if name in names else names[0] if names else None)

        show = {'fn': shown, 'inputs': name, 'outputs': [said, tables, curves, grids, report, config],
                'show_progress': 'minimal', 'api_visibility': 'private'}
        name.input(**show)
        here.select(reopened, name, name, show_progress='hidden', api_visibility='private').then(**show)


def _curves(found: Result) -> str:
    lines = sorted(learning_curves(found.folder).items())
    drawn = [f'<figure><figcaption>{escape(name)}</figcaption>{curve({name: line}, [name])}</figure>' for name, line in lines]
    return f'<div class="curves">{"".join(drawn)}</div>'


def _report(found: Result) -> str:
    """The page of an ablation in a frame of its own, which can reach nothing else."""
    if found.report is None:
        return ''
    if found.report.stat().st_size > _REPORT:
        return f'<p>{escape(found.report.name)} is too large to be shown here; open it from its folder.</p>'
    page = found.report.read_text(encoding='utf-8', errors='replace')
    return f'<iframe title="report" class="report" sandbox="allow-scripts" srcdoc="{escape(page, quote=True)}"></iframe>'


def _escaped(name: str) -> str:
    return ''.join(f'\\{character}' if character in '\\`*_{}[]<>#|' else character for character in name)
