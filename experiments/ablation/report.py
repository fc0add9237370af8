"""HTML report of an ablation: sortable tables, images, learning curves, runs. The file is self-contained."""
import base64
import json
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from configs.resolve import dump
from experiments.ablation.comparison import Comparison
from experiments.evaluation.measures import MEASURES
from experiments.evaluation.plots import color, curve
from experiments.evaluation.tables import ARROWS, SIGNIFICANT_P, Cell, Table, format_value
from models.images import to_uint8
from models.pipelines.io.image_grid import encode_png

TEMPLATES = Path(__file__).parent / 'templates'
_RANKS = {1: 'first', 2: 'second', None: ''}
_RUN_HEADS = ('variant', 'seed', 'family', 'steps', 'minutes', 'state', 'key')


def report(comparison: Comparison) -> str:
    """Render templates/report.html.j2 for a comparison."""
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
                              lstrip_blocks=True, keep_trailing_newline=True)
    variants = list(dict.fromkeys(run.variant for run in comparison.runs))
    changes = {name: change.model_dump(exclude_none=True) for name, change in comparison.ablation.expanded().items()}
    return environment.get_template('report.html.j2').render(
        title=f'Ablation: {comparison.name}',
        question=comparison.ablation.question,
        style=Markup((TEMPLATES / 'report.css').read_text(encoding='utf-8')),
        script=Markup((TEMPLATES / 'report.js').read_text(encoding='utf-8')),
        tables=[{'judge': judge, **_table(table)} for judge, table in comparison.tables.items()],
        images=_images(comparison),
        legend=[{'name': name, 'color': color(index)} for index, name in enumerate(variants)],
        curves=[{'name': name, 'plot': Markup(curve(lines, variants))} for name, lines in comparison.curves.items()],
        run_heads=_heads(_RUN_HEADS),
        runs=comparison.runs,
        changes=json.dumps(changes, indent=1),
        first_config=dump(comparison.runs[0].config))


def _heads(titles: Iterable[str]) -> list[dict[str, str]]:
    return [{'title': title, 'meaning': ''} for title in titles]


def _table(table: Table) -> dict:
    """Headings, rows and notes of a table, for the template."""
    heads = [{'title': MEASURES[name].title + ARROWS[MEASURES[name].better], 'meaning': MEASURES[name].meaning}
             for name in table.shown_columns]
    rows = [{'name': row.name, 'ranked': row.ranked,
             'cells': [_cell(name, row.cells.get(name), table.ranks(name).get(index)) for name in table.shown_columns]}
            for index, row in enumerate(table.rows)]
    return {'heads': [*_heads(['']), *heads], 'rows': rows, 'notes': table.notes}


def _cell(name: str, cell: Cell | None, rank: int | None) -> dict[str, str] | None:
    """Texts of a cell; None where it has no finite value."""
    if cell is None or not math.isfinite(cell.mean):
        return None
    measure = MEASURES[name]
    return {'value': repr(cell.mean), 'rank': _RANKS[rank], 'text': format_value(measure, cell.mean),
            'deviation': '' if cell.deviation is None else format_value(measure, cell.deviation),
            'p': f'{cell.p:.2g}' if cell.p is not None and cell.p < SIGNIFICANT_P else ''}


def _images(comparison: Comparison) -> dict[str, list]:
    """Headings, and rows of PNG images as data URIs."""
    columns = {title: to_uint8(images) for title, images in comparison.images.items()}
    rows = [[{'title': title, 'data': _data_uri(image)} for title, image in zip(columns, row)] for row in zip(*columns.values())]
    return {'heads': _heads(columns), 'rows': rows}


def _data_uri(image: np.ndarray) -> str:
    return f'data:image/png;base64,{base64.b64encode(encode_png(image)).decode()}'
