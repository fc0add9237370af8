"""Rows of figures as Markdown, CSV and LaTeX (booktabs): mean and deviation, the best in bold, the second underlined."""
import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from experiments.evaluation.measures import MEASURES, Measure

_ARROWS = {'high': ' ↑', 'low': ' ↓', '': ''}


@dataclass(frozen=True)
class Cell:
    """A figure: mean, and its deviation where there are several. p: of a paired test against the base, where one was made."""

    mean: float
    deviation: float | None = None
    p: float | None = None


@dataclass(frozen=True)
class Row:
    """cells: by measure. ranked: whether it takes part in the search for the best; sanity rows do not."""

    name: str
    cells: dict[str, Cell]
    ranked: bool = True
    remark: str = ''


@dataclass(frozen=True)
class Table:
    """columns: names of MEASURES, of which those that no row has are left out. notes: sentences below the table."""

    rows: Sequence[Row]
    columns: Sequence[str]
    notes: Sequence[str] = field(default=())

    @property
    def shown(self) -> list[str]:
        return [name for name in self.columns if any(name in row.cells for row in self.rows)]

    def places(self, name: str) -> dict[int, int]:
        """Index of a row -> 1 (best) or 2 (second), by the shown digits; equal figures share their place."""
        measure = MEASURES[name]
        if not measure.better:
            return {}
        values = {index: round(row.cells[name].mean, measure.digits) for index, row in enumerate(self.rows)
                  if row.ranked and name in row.cells and math.isfinite(row.cells[name].mean)}
        order = sorted(set(values.values()), reverse=measure.better == 'high')[:2]
        return {index: order.index(value) + 1 for index, value in values.items() if value in order and len(values) > 1}

    def markdown(self) -> str:
        """A table and its notes."""
        marks = {1: '**{}**', 2: '<u>{}</u>'}
        lines = ['| | ' + ' | '.join(MEASURES[name].title + _ARROWS[MEASURES[name].better] for name in self.shown) + ' |',
                 '| --- |' + ' ---: |' * len(self.shown)]
        for index, row in enumerate(self.rows):
            cells = [self._text(index, name, marks, ' ± ', ' *') for name in self.shown]
            lines.append(f'| {row.name}{f" ({row.remark})" if row.remark else ""} | ' + ' | '.join(cells) + ' |')
        return '\n'.join([*lines, '', *(f'- {note}' for note in self.notes)]).rstrip() + '\n'

    def latex(self) -> str:
        """A tabular for the package booktabs."""
        marks = {1: r'\textbf{{{}}}', 2: r'\underline{{{}}}'}
        arrows = {'high': r' $\uparrow$', 'low': r' $\downarrow$', '': ''}
        titles = [_escaped(MEASURES[name].title) + arrows[MEASURES[name].better] for name in self.shown]
        lines = [f'\\begin{{tabular}}{{l{"r" * len(titles)}}}', r'\toprule', ' & '.join(['', *titles]) + r' \\', r'\midrule']
        ranked = True
        for index, row in enumerate(self.rows):
            if index and row.ranked != ranked:
                lines.append(r'\midrule')
            ranked = row.ranked
            cells = [self._text(index, name, marks, r' $\pm$ ', '$^*$').replace('—', '--') for name in self.shown]
            lines.append(' & '.join([_escaped(row.name), *cells]) + r' \\')
        notes = [f'% {note}' for note in self.notes]
        return '\n'.join([*lines, r'\bottomrule', r'\end{tabular}', *notes]) + '\n'

    def csv(self) -> str:
        """All measures of all rows, unrounded: name, then mean, deviation and p of each."""
        names = [name for name in MEASURES if any(name in row.cells for row in self.rows)]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator='\n')
        writer.writerow(['name', *(f'{name}{part}' for name in names for part in ('', '_deviation', '_p'))])
        for row in self.rows:
            cells = [row.cells.get(name) for name in names]
            writer.writerow([row.name, *('' if value is None else value for cell in cells for value in
                                         ((cell.mean, cell.deviation, cell.p) if cell else (None,) * 3))])
        return text.getvalue()

    def _text(self, index: int, name: str, marks: dict[int, str], between: str, star: str) -> str:
        cell = self.rows[index].cells.get(name)
        if cell is None or not math.isfinite(cell.mean):
            return '—'
        mean = shown(MEASURES[name], cell.mean)
        place = self.places(name).get(index)
        text = marks[place].format(mean) if place else mean
        if cell.deviation is not None:
            text += between + shown(MEASURES[name], cell.deviation)
        return text + (star if cell.p is not None and cell.p < 0.05 else '')


def shown(measure: Measure, value: float) -> str:
    """A value with the digits of its measure."""
    return f'{value:,.0f}' if measure.digits == 0 else f'{value:.{measure.digits}f}'


def _escaped(text: str) -> str:
    for character in '\\&%$#_{}':
        text = text.replace(character, f'\\{character}' if character != '\\' else r'\textbackslash ')
    return text


def from_evaluation(rows: Sequence[dict], columns: Sequence[str], sanity: Sequence[str]) -> Table:
    """Rows of experiments.evaluation.evaluator as a table: deviations are left to the files, as they are over pairs."""
    first = rows[0]
    notes = [f'{first["pairs"]} pairs of the protocol {first["protocol"]}'
             + (f', list sha256 {first["sha256"]}' if 'sha256' in first else ''),
             'judges: ' + ', '.join(f'{measure} by {name}' for measure, name in first['judges'].items()),
             *(f'not measured, {measure}: {why}' for measure, why in first['missing'].items()), *first['notes']]
    made = [Row(row['name'], {name: Cell(figure['mean']) for name, figure in row['figures'].items() if name in MEASURES},
                row['name'] not in sanity) for row in rows]
    return Table(made, columns, notes)
