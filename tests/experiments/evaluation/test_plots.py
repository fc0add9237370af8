"""SVG plots: scatter plots of metrics, learning curves."""
from xml.etree import ElementTree

from experiments.evaluation.plots import curve, scatter
from experiments.evaluation.tables import Cell, Row


def test_scatter_has_a_point_per_row_with_both_metrics():
    rows = [Row('a < b', {'seconds': Cell(1.0), 'variety': Cell(0.1)}), Row('b', {'seconds': Cell(2.0), 'variety': Cell(0.3)}),
            Row('without variety', {'seconds': Cell(3.0)})]
    plot = ElementTree.fromstring(scatter(rows, 'seconds', ['variety']))
    groups = [node for node in plot.iter() if node.get('id', '').startswith('point-')]
    points = [next(node.attrib for node in group.iter() if node.tag.endswith('use')) for group in groups]
    assert len(points) == 2 and float(points[0]['x']) < float(points[1]['x']) and float(points[0]['y']) > float(points[1]['y'])


def test_curve_of_a_single_value_is_a_point():
    plot = curve({'single': [(80, 0.5)], 'line': [(40, 1.0), (80, 0.25)]}, ['single', 'line'])
    point, line = plot.split('<g data-line=')[1:]
    assert point.split('</g>')[0].count('<path') == 1 and '<use' in point.split('</g>')[1] + point.split('</g>')[0]
    assert '<use' not in line.split('</g>')[0]
    assert 'no finite values' in curve({'single': [(80, float('nan'))]}, ['single'])
