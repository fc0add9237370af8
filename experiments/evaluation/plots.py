"""Plots of metrics and learning curves as SVG text, by matplotlib."""
import io
import re
from collections.abc import Sequence
from html import escape
from math import isfinite
from typing import Any

import matplotlib
import matplotlib.lines
import matplotlib.ticker
import numpy as np
from matplotlib.figure import Figure

from experiments.evaluation.measures import MEASURES
from experiments.evaluation.tables import Row

_COLORS = ('#1b6ca8', '#d1495b', '#2e933c', '#edae49', '#7b4b94', '#00798c', '#8d5524', '#5c6b73', '#c05299', '#3d405b')
_PANEL_INCHES = 3.3  # side of a square panel
_CURVE_INCHES = (4.6, 2.4)
_DPI = 72  # resolution of SVG in matplotlib
_NO_METADATA = dict.fromkeys(('Creator', 'Date', 'Format', 'Type'))
# Text is not converted to paths; equal plots have equal identifiers.
_STYLE: Any = {'svg.fonttype': 'none', 'svg.hashsalt': 'plots', 'font.family': 'sans-serif', 'font.size': 9,
          'axes.spines.top': False, 'axes.spines.right': False, 'axes.edgecolor': '#aab4be', 'axes.labelcolor': '#45525f',
          'xtick.color': '#45525f', 'ytick.color': '#45525f'}


def scatter(rows: Sequence[Row], x_metric: str, y_metrics: Sequence[str]) -> str:
    """One panel for each of `y_metrics` against `x_metric`, with a numbered point for each row that has both metrics, and a
    legend. Returns a standalone SVG document."""
    with matplotlib.rc_context(_STYLE):
        legend_inches = 0.2 * len(rows) + 0.2
        figure = Figure((len(y_metrics) * _PANEL_INCHES, _PANEL_INCHES + legend_inches), layout='constrained')
        for axes, measure in zip(figure.subplots(1, len(y_metrics), squeeze=False)[0], y_metrics):
            axes.set_xlabel(MEASURES[x_metric].title)
            axes.set_ylabel(MEASURES[measure].title)
            axes.margins(0.1)
            for index, row in enumerate(rows):
                if x_metric in row.cells and measure in row.cells:
                    x, y = row.cells[x_metric].mean, row.cells[measure].mean
                    axes.plot([x], [y], 'o', markersize=5, color=color(index), gid=f'point-{index}', clip_on=False)
                    axes.annotate(str(index + 1), (x, y), (4, 4), textcoords='offset points', color=color(index))
        handles = [matplotlib.lines.Line2D([], [], marker='o', linestyle='none', color=color(index))
                   for index in range(len(rows))]
        figure.legend(handles, [f'{index + 1}  {row.name}' for index, row in enumerate(rows)], loc='outside lower left',
                      frameon=False)
        return _svg(figure)


def roc(curves: dict[str, tuple[np.ndarray, np.ndarray]]) -> str:
    """ROC curves as a standalone SVG document. curves: name -> false acceptance rates (F,), on a logarithmic axis from 0.001 to
    1, and true acceptance rates (F,)."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure((1.3 * _PANEL_INCHES, _PANEL_INCHES + 0.2 * len(curves) + 0.4), layout='constrained')
        axes = figure.subplots()
        axes.set(xscale='log', xlim=(1e-3, 1), ylim=(0, 1), xlabel='false acceptance rate', ylabel='true acceptance rate')
        for index, (name, (fars, tars)) in enumerate(curves.items()):
            inside = np.asarray(fars) >= 1e-3
            axes.plot(np.asarray(fars)[inside], np.asarray(tars)[inside], color=color(index), label=name, gid=f'line-{index}')
        if curves:
            figure.legend(loc='outside lower left', frameon=False)
        return _svg(figure)


def curve(lines: dict[str, list[tuple[int, float]]], names: list[str]) -> str:
    """Learning curves as an SVG element to be embedded in HTML.

    lines: name -> [(step, value)]; values that are not finite are left out, a single value is drawn as a point. names: all names
    of the page in order; the index of a name selects its color and is the `data-line` attribute of its group.
    """
    points = {name: [(step, value) for step, value in line if isfinite(value)] for name, line in lines.items()}
    if not any(points.values()):
        return '<p class="plain">no finite values</p>'
    with matplotlib.rc_context(_STYLE):
        figure = Figure(_CURVE_INCHES, layout='constrained')
        axes = figure.subplots()
        axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(5, integer=True))
        for name, line in points.items():
            if line:
                index = names.index(name)
                style = {'marker': 'o', 'markersize': 5, 'linestyle': 'none'} if len(line) == 1 else {'linewidth': 1.4}
                axes.plot(*zip(*line), color=color(index), gid=f'line-{index}', clip_on=False, **style)
        return _embedded(_svg(figure), names)


def color(index: int) -> str:
    """Color of a line or point by its index, as #rrggbb."""
    return _COLORS[index % len(_COLORS)]


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    figure.savefig(text, format='svg', dpi=_DPI, metadata=_NO_METADATA)
    return text.getvalue()


def _embedded(svg: str, names: list[str]) -> str:
    """The svg element for a page with further plots: without prolog, namespaces, global styles and identifiers; lines carry the
    attribute data-line and a tooltip."""
    svg = svg[svg.index('<svg'):]
    svg = re.sub(r'<defs>\s*<style.*?</style>\s*</defs>', '', svg, flags=re.S)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', '', svg)

    def group(match: re.Match) -> str:
        return f'<g data-line="{match[1]}"><title>{escape(names[int(match[1])])}</title>'

    svg = re.sub(r'<g id="line-(\d+)">', group, svg)
    return re.sub(r'<g id="[^"]*">', '<g>', svg).strip()
