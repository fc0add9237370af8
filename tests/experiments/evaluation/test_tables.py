"""Tables as Markdown, LaTeX and CSV."""
import csv
import io

from experiments.evaluation.tables import Cell, Row, Table

TABLE = Table([Row('base_1', {'id_source': Cell(0.41, 0.02), 'background_l1': Cell(0.01)}),
               Row('b', {'id_source': Cell(0.52, 0.01, p=0.01), 'background_l1': Cell(0.03)}),
               Row('c', {'id_source': Cell(0.30, 0.01, p=0.5), 'background_l1': Cell(float('nan'))}),
               Row('copy', {'id_source': Cell(0.99)}, ranked=False)],
              ['id_source', 'background_l1', 'fid'], ['n = 3'])


def test_markdown_has_the_best_in_bold_and_the_second_underlined():
    assert TABLE.markdown().splitlines() == [
        '| | ID source ↑ | bg L1 ↓ |',
        '| --- | ---: | ---: |',
        '| base_1 | <u>0.410</u> ± 0.020 | **0.0100** |',
        '| b | **0.520** ± 0.010 * | <u>0.0300</u> |',
        '| c | 0.300 ± 0.010 | — |',
        '| copy | 0.990 | — |',
        '',
        '- n = 3']


def test_latex_is_a_booktabs_table_of_escaped_text():
    lines = TABLE.latex().splitlines()
    assert lines[0] == r'\begin{tabular}{lrr}' and lines[-2] == r'\end{tabular}'
    assert r'base\_1 & \underline{0.410} $\pm$ 0.020 & \textbf{0.0100} \\' in lines
    assert lines.count(r'\midrule') == 2 and r'ID source $\uparrow$' in lines[2] and '—' not in TABLE.latex()


def test_csv_has_unrounded_figures():
    rows = list(csv.DictReader(io.StringIO(TABLE.csv())))
    assert rows[1]['id_source'] == '0.52' and rows[1]['id_source_p'] == '0.01' and rows[0]['background_l1_deviation'] == ''


def test_equal_figures_share_a_rank():
    table = Table([Row(name, {'pose': Cell(value)}) for name, value in (('a', 1.001), ('b', 1.0), ('c', 2.0))], ['pose'])
    assert table.ranks('pose') == {0: 1, 1: 1, 2: 2}
