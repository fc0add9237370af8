"""Tables of metrics as Markdown, CSV and LaTeX (booktabs): mean and deviation, the best in bold, the second underlined."""
import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from experiments.evaluation.measures import MEASURES, Measure
from models.storage.files import write_bytes

ARROWS = {'high': ' ↑', 'low': ' ↓', '': ''}  # Measure.better -> arrow in headings
SIGNIFICANT_P = 0.05


@dataclass(frozen=True)
class Cell:
    """A metric of a row."""

    mean: float
    deviation: float | None = None  # over seeds
    p: float | None = None          # p value of a paired test against the base


@dataclass(frozen=True)
class Row:
    """A system or variant."""

    name: str
    cells: dict[str, Cell]  # by metric
    ranked: bool = True     # whether the row competes for the best figures; sanity baselines do not
    remark: str = ''        # in parentheses after the name


@dataclass(frozen=True)
class Table:
    """Rows and the metrics that they show."""

    rows: Sequence[Row]
    columns: Sequence[str]                    # names of MEASURES
    notes: Sequence[str] = field(default=())  # sentences below the table

    @property
    def shown_columns(self) -> list[str]:
        """The columns with a figure in any row."""
        return [name for name in self.columns if any(name in row.cells for row in self.rows)]

    def ranks(self, name: str) -> dict[int, int]:
        """Index of a row -> 1 (best) or 2 (second) in a column, by the shown digits; equal figures share their rank."""
        measure = MEASURES[name]
        if not measure.better:
            return {}
        values = {index: round(row.cells[name].mean, measure.digits) for index, row in enumerate(self.rows)
                  if row.ranked and name in row.cells and math.isfinite(row.cells[name].mean)}
        order = sorted(set(values.values()), reverse=measure.better == 'high')[:2]
        return {index: order.index(value) + 1 for index, value in values.items() if value in order and len(values) > 1}

    def markdown(self) -> str:
        """Markdown table, with the notes as a list."""
        marks = {1: '**{}**', 2: '<u>{}</u>'}
        lines = ['| | ' + ' | '.join(MEASURES[name].title + ARROWS[MEASURES[name].better] for name in self.shown_columns) + ' |',
                 '| --- |' + ' ---: |' * len(self.shown_columns)]
        for index, row in enumerate(self.rows):
            cells = [self._text(index, name, marks, ' ± ', ' *') for name in self.shown_columns]
            lines.append(f'| {row.name}{f" ({row.remark})" if row.remark else ""} | ' + ' | '.join(cells) + ' |')
        return '\n'.join([*lines, '', *(f'- {note}' for note in self.notes)]).rstrip() + '\n'

    def latex(self) -> str:
        """LaTeX tabular for the package booktabs, with the notes as comments."""
        marks = {1: r'\textbf{{{}}}', 2: r'\underline{{{}}}'}
        arrows = {'high': r' $\uparrow$', 'low': r' $\downarrow$', '': ''}
        titles = [_escaped(MEASURES[name].title) + arrows[MEASURES[name].better] for name in self.shown_columns]
        lines = [f'\\begin{{tabular}}{{l{"r" * len(titles)}}}', r'\toprule', ' & '.join(['', *titles]) + r' \\', r'\midrule']
        ranked = True
        for index, row in enumerate(self.rows):
            if index and row.ranked != ranked:
                lines.append(r'\midrule')
            ranked = row.ranked
            cells = [self._text(index, name, marks, r' $\pm$ ', '$^*$').replace('—', '--') for name in self.shown_columns]
            lines.append(' & '.join([_escaped(row.name), *cells]) + r' \\')
        notes = [f'% {note}' for note in self.notes]
        return '\n'.join([*lines, r'\bottomrule', r'\end{tabular}', *notes]) + '\n'

    def csv(self) -> str:
        """CSV of all metrics of all rows, unrounded: name, then mean, deviation and p of each metric."""
        names = [name for name in MEASURES if any(name in row.cells for row in self.rows)]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator='\n')
        writer.writerow(['name', *(f'{name}{part}' for name in names for part in ('', '_deviation', '_p'))])
        for row in self.rows:
            cells = [row.cells.get(name) for name in names]
            writer.writerow([row.name, *('' if value is None else value for cell in cells for value in
                                         ((cell.mean, cell.deviation, cell.p) if cell else (None,) * 3))])
        return text.getvalue()

    def write(self, folder: Path, stem: str = 'table') -> None:
        """Write STEM.md, STEM.csv and STEM.tex."""
        for suffix, text in (('md', self.markdown()), ('csv', self.csv()), ('tex', self.latex())):
            write_bytes(folder / f'{stem}.{suffix}', text.encode())

    def _text(self, index: int, name: str, marks: dict[int, str], separator: str, star: str) -> str:
        """Text of a cell. marks: rank -> format; separator: of mean and deviation; star: of p below SIGNIFICANT_P."""
        cell = self.rows[index].cells.get(name)
        if cell is None or not math.isfinite(cell.mean):
            return '—'
        mean = format_value(MEASURES[name], cell.mean)
        rank = self.ranks(name).get(index)
        text = marks[rank].format(mean) if rank else mean
        if cell.deviation is not None:
            text += separator + format_value(MEASURES[name], cell.deviation)
        return text + (star if cell.p is not None and cell.p < SIGNIFICANT_P else '')


def format_value(measure: Measure, value: float) -> str:
    """A value with the digits of its metric."""
    return f'{value:,.0f}' if measure.digits == 0 else f'{value:.{measure.digits}f}'


def _escaped(text: str) -> str:
    for character in '\\&%$#_{}':
        text = text.replace(character, f'\\{character}' if character != '\\' else r'\textbackslash ')
    return text


def from_evaluation(rows: Sequence[dict], columns: Sequence[str], sanity: Sequence[str]) -> Table:
    """Table of rows of Evaluation.row, without their deviations over pairs. sanity: names of the sanity baselines."""
    first = rows[0]
    notes = [f'{first["pairs"]} pairs of the protocol {first["protocol"]}'
             + (f', list sha256 {first["sha256"]}' if 'sha256' in first else ''),
             'judges: ' + ', '.join(f'{measure} by {name}' for measure, name in first['judges'].items()),
             *(f'not measured, {measure}: {reason}' for measure, reason in first['missing'].items()), *first['notes']]
    table_rows = [Row(row['name'], {name: Cell(figure['mean']) for name, figure in row['figures'].items() if name in MEASURES},
                      row['name'] not in sanity) for row in rows]
    return Table(table_rows, columns, notes)
