"""Plots as SVG, without a plotting library."""
from collections.abc import Sequence
from html import escape
from math import isfinite, log10

import numpy as np

from experiments.ablation.tables import Row, shown
from experiments.evaluation.measures import MEASURES

_SIDE, _ROOM, _TOP = 260, 70, 30  # of a panel's square, to its left and below, and above it, in pixels
_COLORS = ('#1b6ca8', '#d1495b', '#2e933c', '#edae49', '#7b4b94', '#00798c', '#8d5524', '#5c6b73', '#c05299', '#3d405b')
_WIDE, _HIGH, _EDGE = 460, 240, (52, 10, 14, 26)  # of a curve in pixels; room left, top, right, bottom


def scatter(rows: Sequence[Row], across: str, up: Sequence[str]) -> str:
    """One panel per measure in `up`, against the measure `across`: a numbered dot per row that has both, and a legend."""
    width, legend = len(up) * (_SIDE + _ROOM) + _ROOM // 2, _TOP + _SIDE + _ROOM
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{legend + 18 * len(rows) + 10}" '
             'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>']
    for panel, measure in enumerate(up):
        parts += _panel(rows, across, measure, _ROOM + panel * (_SIDE + _ROOM))
    parts += [f'<text x="{_ROOM}" y="{legend + 18 * index}" fill="{color(index)}">{index + 1}  {escape(row.name)}</text>'
              for index, row in enumerate(rows)]
    return '\n'.join([*parts, '</svg>']) + '\n'


def roc(curves: dict[str, tuple[np.ndarray, np.ndarray]]) -> str:
    """Curves by name: shares (F,) of accepted pairs of two people, on a logarithmic axis from 0.001 to 1, and of one person."""
    bottom = _TOP + _SIDE
    legend = bottom + _ROOM
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{_SIDE + 2 * _ROOM}" height="{legend + 18 * len(curves)}" '
             'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>',
             f'<rect x="{_ROOM}" y="{_TOP}" width="{_SIDE}" height="{_SIDE}" fill="none" stroke="#99a"/>',
             f'<text x="{_ROOM + _SIDE / 2}" y="{bottom + 36}" text-anchor="middle">false acceptance rate</text>',
             f'<text x="{_ROOM}" y="{_TOP - 10}">true acceptance rate</text>']
    for power in range(-3, 1):
        x = _ROOM + (power + 3) / 3 * _SIDE
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{10.0 ** power:g}</text>')
    for value in (0, 0.5, 1):
        parts.append(f'<text x="{_ROOM - 4}" y="{bottom - value * _SIDE + 4:.1f}" text-anchor="end">{value}</text>')
    for index, (name, (fars, tars)) in enumerate(curves.items()):
        line = ' '.join(f'{_ROOM + (log10(far) + 3) / 3 * _SIDE:.1f},{bottom - tar * _SIDE:.1f}'
                        for far, tar in zip(fars, tars) if far >= 1e-3)
        parts += [f'<polyline fill="none" stroke-width="1.6" stroke="{color(index)}" points="{line}"/>',
                  f'<text x="{_ROOM}" y="{legend + 18 * index}" fill="{color(index)}">{escape(name)}</text>']
    return '\n'.join([*parts, '</svg>']) + '\n'


def curve(lines: dict[str, list[tuple[int, float]]], names: list[str]) -> str:
    """Lines of (step, value) by name, each in the color of its place in `names`; values that are not finite are left out."""
    points = {name: [(step, value) for step, value in line if isfinite(value)] for name, line in lines.items()}
    every = [point for line in points.values() for point in line]
    if not every:
        return '<p class="plain">nothing finite</p>'
    left, top, right, bottom = _EDGE
    low, high = min(value for _, value in every), max(value for _, value in every)
    high = high if high > low else low + 1
    first, last = min(step for step, _ in every), max(max(step for step, _ in every), 1)

    def place(step: int, value: float) -> str:
        x = left + (_WIDE - left - right) * (step - first) / max(1, last - first)
        y = top + (_HIGH - top - bottom) * (high - value) / (high - low)
        return f'{x:.1f},{y:.1f}'

    drawn = []
    for name, line in points.items():
        index, alone = names.index(name), len(line) == 1  # a single value is a dot: a line of no length with round ends
        drawn.append(f'<polyline data-line="{index}" fill="none" stroke-width="{6 if alone else 1.6}" stroke-linecap="round" '
                     f'stroke="{color(index)}" points="{" ".join(place(*point) for point in line * (1 + alone))}">'
                     f'<title>{escape(name)}</title></polyline>')
    marks = [f'<text x="{left - 6}" y="{y}" text-anchor="end">{value:.3g}</text>'
             for y, value in ((top + 4, high), (_HIGH - bottom, low))]
    marks += [f'<text x="{x}" y="{_HIGH - 8}" text-anchor="{anchor}">{step}</text>'
              for x, anchor, step in ((left, 'start', first), (_WIDE - right, 'end', last))]
    frame = f'<path d="M{left} {top}V{_HIGH - bottom}H{_WIDE - right}" fill="none" stroke="#aab4be"/>'
    return (f'<svg viewBox="0 0 {_WIDE} {_HIGH}" width="{_WIDE}" style="max-width:100%" font-size="11" fill="#45525f">'
            f'{frame}{"".join(marks)}{"".join(drawn)}</svg>')


def _panel(rows: Sequence[Row], across: str, up: str, left: int) -> list[str]:
    points = {index: (row.cells[across].mean, row.cells[up].mean) for index, row in enumerate(rows)
              if across in row.cells and up in row.cells}
    (x0, x1), (y0, y1) = (_span([point[axis] for point in points.values()]) for axis in (0, 1))
    bottom, middle = _TOP + _SIDE, left + _SIDE / 2
    parts = [f'<rect x="{left}" y="{_TOP}" width="{_SIDE}" height="{_SIDE}" fill="none" stroke="#99a"/>',
             f'<text x="{middle}" y="{bottom + 36}" text-anchor="middle">{escape(MEASURES[across].title)}</text>',
             f'<text x="{middle}" y="{_TOP - 10}" text-anchor="middle">{escape(MEASURES[up].title)}</text>']
    for value, anchor, x in ((x0, 'start', left), (x1, 'end', left + _SIDE)):
        parts.append(f'<text x="{x}" y="{bottom + 16}" text-anchor="{anchor}">{shown(MEASURES[across], value)}</text>')
    for value, y in ((y0, bottom), (y1, _TOP + 10)):
        parts.append(f'<text x="{left - 4}" y="{y}" text-anchor="end">{shown(MEASURES[up], value)}</text>')
    for index, (x, y) in points.items():
        px, py = left + (x - x0) / (x1 - x0) * _SIDE, bottom - (y - y0) / (y1 - y0) * _SIDE
        parts.append(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="4" fill="{color(index)}"/>'
                     f'<text x="{px + 6:.1f}" y="{py - 5:.1f}" fill="{color(index)}">{index + 1}</text>')
    return parts


def _span(values: list[float]) -> tuple[float, float]:
    """What an axis shows: all values, with some room around them."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = 0.08 * (high - low) or max(abs(high), 1e-3) * 0.1
    return low - room, high + room


def color(index: int) -> str:
    """Of a line or dot by its number."""
    return _COLORS[index % len(_COLORS)]
