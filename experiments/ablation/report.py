"""One HTML file that shows an ablation: tables that sort, images that enlarge, curves. It holds all that it needs."""
import base64
import json
import math
from html import escape

from configs.resolve import dump
from experiments.ablation.comparison import Comparison
from experiments.ablation.plots import color, curve
from experiments.ablation.tables import Table, shown
from experiments.evaluation.measures import MEASURES
from models.pipelines.io.image_grid import encode_png, to_bytes

_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;color:#1c2430;max-width:1200px;margin:2em auto;padding:0 1em}
h1{font-size:1.6em;margin-bottom:.2em}h2{margin-top:1.8em;border-bottom:1px solid #d5dbe3;padding-bottom:.2em}
p.question{font-size:1.15em;color:#45525f}.scroll{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.3em .7em;text-align:right;white-space:nowrap;border-bottom:1px solid #e6eaef}
th:first-child,td:first-child{text-align:left;position:sticky;left:0;background:#fff}
th{cursor:pointer;user-select:none;background:#f4f6f9}th.up::after{content:" \\25b4"}th.down::after{content:" \\25be"}
td.first{font-weight:700}td.second{text-decoration:underline}tr.sanity td{color:#76828f;font-style:italic}
.plain{color:#76828f;font-size:.9em}.failed{color:#b3261e}ul{padding-left:1.2em}
.images td{padding:2px}.images img{width:96px;height:96px;image-rendering:auto;cursor:zoom-in;display:block}
#large{display:none;position:fixed;inset:0;background:#101418e6;align-items:center;justify-content:center;cursor:zoom-out}
#large.on{display:flex}#large img{height:86vmin;width:86vmin;object-fit:contain}#large p{position:fixed;bottom:1em;color:#fff}
.curves{display:flex;flex-wrap:wrap;gap:14px}figure{margin:0}figcaption{font-weight:600}
.legend span{display:inline-block;margin-right:1.2em;cursor:pointer}.legend i{display:inline-block;width:1.1em;height:.25em;
vertical-align:middle;margin-right:.4em}.off{opacity:.25}pre{background:#f4f6f9;padding:.8em;overflow-x:auto}
"""

_SCRIPT = """
document.querySelectorAll('table.sortable th').forEach(head=>head.addEventListener('click',()=>{
  const table=head.closest('table'),place=[...head.parentNode.children].indexOf(head),down=head.classList.contains('up');
  table.querySelectorAll('th').forEach(other=>other.classList.remove('up','down'));
  head.classList.add(down?'down':'up');
  const value=row=>{const cell=row.children[place];return 'v' in cell.dataset?parseFloat(cell.dataset.v):cell.textContent};
  const body=table.tBodies[0];
  [...body.rows].sort((a,b)=>{const x=value(a),y=value(b);
    if(typeof x==='number'&&typeof y==='number'){if(isNaN(x))return 1;if(isNaN(y))return -1;return down?y-x:x-y}
    return down?String(y).localeCompare(String(x)):String(x).localeCompare(String(y))}).forEach(row=>body.append(row));
}));
const large=document.getElementById('large');
document.querySelectorAll('.images img').forEach(image=>image.addEventListener('click',()=>{
  large.querySelector('img').src=image.src;large.querySelector('p').textContent=image.alt;large.classList.add('on')}));
large.addEventListener('click',()=>large.classList.remove('on'));
document.addEventListener('keydown',event=>{if(event.key==='Escape')large.classList.remove('on')});
document.querySelectorAll('.legend span').forEach(key=>key.addEventListener('click',()=>{
  const off=key.classList.toggle('off');
  document.querySelectorAll('.curves [data-line="'+key.dataset.line+'"]').forEach(line=>line.style.display=off?'none':'')}));
"""


def report(comparison: Comparison) -> str:
    """The whole page."""
    title = f'Ablation: {comparison.name}'
    variants = list(dict.fromkeys(run.variant for run in comparison.runs))
    parts = [f'<h1>{escape(title)}</h1><p class="question">{escape(comparison.ablation.question)}</p>']
    for judge, table in comparison.tables.items():
        parts.append(f'<h2>Figures, identity judged by {escape(judge)}</h2>{_table(table)}')
    if comparison.images:
        parts += ['<h2>Images</h2><p class="plain">Click an image to enlarge it.</p>', _images(comparison)]
    parts += ['<h2>Learning curves</h2><p class="plain">Click a name to hide its curve.</p>', _legend(variants),
              _curves(comparison, variants), '<h2>Runs</h2>', _runs(comparison), '<h2>What was varied</h2>', _changes(comparison)]
    return (f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
            f'</head><body>{"".join(parts)}<div id="large"><img alt=""><p></p></div><script>{_SCRIPT}</script></body></html>\n')


def _sheet(kind: str, heads: str, rows: list[str]) -> str:
    return (f'<div class="scroll"><table class="{kind}"><thead><tr>{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
            '</div>')


def _table(table: Table) -> str:
    heads = ''.join(f'<th title="{escape(MEASURES[name].meaning)}">{escape(MEASURES[name].title)}'
                    f'{dict(high=" ↑", low=" ↓").get(MEASURES[name].better, "")}</th>' for name in table.shown)
    rows = []
    for index, row in enumerate(table.rows):
        cells = [f'<td>{escape(row.name)}</td>']
        for name in table.shown:
            cell, place = row.cells.get(name), table.places(name).get(index)
            if cell is None or not math.isfinite(cell.mean):
                cells.append('<td data-v="NaN">—</td>')
                continue
            text = shown(MEASURES[name], cell.mean)
            if cell.deviation is not None:
                text += f' <span class="plain">± {shown(MEASURES[name], cell.deviation)}</span>'
            star = f'<sup title="p = {cell.p:.2g}">*</sup>' if cell.p is not None and cell.p < 0.05 else ''
            kind = {1: ' class="first"', 2: ' class="second"'}.get(place, '')
            cells.append(f'<td data-v="{cell.mean!r}"{kind}>{text}{star}</td>')
        rows.append(f'<tr{"" if row.ranked else " class=sanity"}>{"".join(cells)}</tr>')
    notes = ''.join(f'<li>{escape(note)}</li>' for note in table.notes)
    return f'{_sheet("sortable", f"<th></th>{heads}", rows)}<ul class="plain">{notes}</ul>'


def _images(comparison: Comparison) -> str:
    columns = {title: to_bytes(images) for title, images in comparison.images.items()}
    heads = ''.join(f'<th>{escape(title)}</th>' for title in columns)
    rows = []
    for index in range(len(next(iter(columns.values())))):
        cells = [f'<td><img alt="{escape(title)}" src="{_inline(images[index])}"></td>'
                 for title, images in columns.items()]
        rows.append(f'<tr>{"".join(cells)}</tr>')
    return _sheet('images', heads, rows)


def _inline(image) -> str:
    return f'data:image/png;base64,{base64.b64encode(encode_png(image)).decode()}'


def _legend(variants: list[str]) -> str:
    keys = [f'<span data-line="{index}"><i style="background:{color(index)}"></i>{escape(name)}</span>'
            for index, name in enumerate(variants)]
    return f'<p class="legend">{"".join(keys)}</p>'


def _curves(comparison: Comparison, variants: list[str]) -> str:
    figures = [f'<figure><figcaption>{escape(name)}</figcaption>{curve(lines, variants)}</figure>'
               for name, lines in comparison.curves.items()]
    return f'<div class="curves">{"".join(figures)}</div>'


def _runs(comparison: Comparison) -> str:
    rows = []
    for run in comparison.runs:
        minutes = f'{run.seconds / 60:.1f}' if run.seconds is not None else ''
        state = f'<span class="failed">failed: {escape(run.failure)}</span>' if run.failure else run.state
        rows.append(f'<tr><td>{escape(run.variant)}</td><td>{run.seed}</td><td>{run.config.family}</td>'
                    f'<td>{run.config.engine.steps}</td><td>{minutes}</td><td>{state}</td><td>{run.key}</td></tr>')
    heads = ''.join(f'<th>{title}</th>' for title in ('variant', 'seed', 'family', 'steps', 'minutes', 'state', 'key'))
    return _sheet('sortable', heads, rows)


def _changes(comparison: Comparison) -> str:
    changes = {name: change.model_dump(exclude_none=True) for name, change in comparison.ablation.expanded().items()}
    first = comparison.runs[0]
    whole = f'The whole config of {escape(first.variant)}, seed {first.seed}'
    return (f'<pre>{escape(json.dumps(changes, indent=1))}</pre><details><summary>{whole}</summary>'
            f'<pre>{escape(dump(first.config))}</pre></details>')
