"""The machinery of ablations on a family that is not trained at all: what runs, what is reused, what the page shows."""
import importlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser

import pytest
import torch

from configs.ablation import FOLDER, AblationConfig, read_ablation
from configs.resolve import dump
from datasets.loaders import build_faces
from experiments.ablation import plan as planning
from experiments.ablation import runner
from experiments.ablation.comparison import compare, compare_encoders
from experiments.ablation.plan import plan
from experiments.ablation.plots import curve
from experiments.ablation.report import report
from experiments.ablation.runner import Stopped, estimates, train_all
from experiments.evaluation.protocols.swaps import synthetic
from experiments.evaluation.protocols.translation import translation
from experiments.training.checkpoint import save_family
from experiments.training.errors import RunError
from models.perception.encoders.family import Recognizer, RecognizerConfig
from models.perception.encoders.files import encoder_bytes
from models.registry import build_family, family_types
from tests.datasets.webcaricatures import name_of, webcaricatures

TINY = {'model.size': 32, 'model.fold': 2, 'model.widths': [8, 16], 'model.depth': 1, 'engine.steps': 4, 'data.batch': 2}


def ablation(**changes):
    return AblationConfig(**{'question': 'Does <it> matter?', 'base': {'family': 'cvae', 'settings': TINY},
                             'variants': {'no identity': {'settings': {'model.weights.id': 0}}}, 'images': 2,
                             'judges': ['identity-mobilefacenet'], **changes})


def trained(run, place, stopping):
    """What train.py leaves, without training."""
    torch.manual_seed(run.seed + len(run.variant))
    run.folder.mkdir(parents=True, exist_ok=True)
    (run.folder / 'config.yaml').write_text(dump(run.training))
    family = build_family(run.config.family, run.training.model, None)
    save_family(run.folder / 'family.safetensors', run.config.family, family.state_dict(), family.config)
    lines = [{'step': step, 'event': 'train', 'train/kl': 1 / step, 'images_per_second': 8.0} for step in (2, 4)]
    (run.folder / 'journal.jsonl').write_text(''.join(f'{json.dumps(line)}\n' for line in lines))


def test_runs_are_known_by_config_code_and_data(tmp_path, monkeypatch):
    def keys(**changes):
        return {(run.variant, run.seed): run.key for run in plan(ablation(**changes), tmp_path)}

    first = keys(seeds=[0, 1])
    assert len(set(first.values())) == 4 and first == keys(seeds=[0, 1])
    twin = keys(variants={'twin': {}, 'other': {'settings': {'engine.steps': 5}}})
    assert twin['twin', 0] == twin['base', 0] == first['base', 0] != twin['other', 0]
    data = tmp_path / 'data'
    data.mkdir()
    at = {'family': 'cvae', 'settings': {**TINY, 'data.name': 'folder', 'data.root': str(data)}}
    before = keys(base=at)
    (data / 'new.png').write_bytes(b'1')
    assert set(before.values()).isdisjoint(keys(base=at).values())
    monkeypatch.setattr(planning, 'code_hash', lambda: 'other code')
    assert set(first.values()).isdisjoint(keys(seeds=[0, 1]).values())


def test_what_differs_in_sampling_alone_is_trained_once(tmp_path):
    steps = {'variants': {}, 'grid': {'model.sampling.steps': [5, 10]}, 'base': {'family': 'ddpm'}}
    runs = plan(ablation(**steps), tmp_path)
    assert len({run.key for run in runs}) == 1 and [run.config.model['sampling']['steps'] for run in runs[1:]] == [5, 10]


def test_failures_are_written_down_and_finished_runs_are_kept(tmp_path):
    runs, asked = plan(ablation(seeds=[0, 1]), tmp_path), []

    def train(run, place, stopping):
        asked.append(run)
        if run.variant == 'base' and run.seed == 1:
            raise RunError('the loss was not finite')
        trained(run, place, stopping)

    train_all(runs, train, [{}, {}])
    assert len(asked) == 4 and [run.state for run in runs] == ['finished', 'failed', 'finished', 'finished']
    assert runs[1].failure == 'the loss was not finite' and runs[0].seconds >= 0
    train_all(runs, trained, [{}])  # only the failed one again
    assert runs[1].state == 'finished' and runs[1].failure is None


def test_a_signal_ends_the_queue(tmp_path):
    runs, asked = plan(ablation(seeds=[0, 1]), tmp_path), []

    def train(run, place, stopping):
        asked.append(run)
        os.kill(os.getpid(), signal.SIGTERM)
        while not stopping():
            time.sleep(0.01)
        raise Stopped('saved at step 3')

    with pytest.raises(Stopped):
        train_all(runs, train, [{}])
    assert len(asked) == 1 and all(run.state == 'to do' for run in runs)


def test_a_process_that_has_to_stop_is_told_and_saves_itself(tmp_path, monkeypatch):
    script = tmp_path / 'scripts' / 'train.py'
    script.parent.mkdir()
    script.write_text('import signal, sys, time\n'
                      'signal.signal(signal.SIGTERM, lambda *_: sys.exit("train.py: stopped and saved"))\n'
                      'time.sleep(30) if "--family" in sys.argv else sys.exit("train.py: out of memory")\n')
    monkeypatch.setattr(runner, 'ROOT', tmp_path)
    run = plan(ablation(), tmp_path / 'runs')[0]
    with pytest.raises(Stopped):
        runner.train_by_script(run, {}, lambda: True)
    run.folder.mkdir()
    (run.folder / 'config.yaml').touch()  # begun: it is resumed
    with pytest.raises(RunError, match='out of memory'):
        runner.train_by_script(run, {}, lambda: False)


def test_estimates_come_from_like_runs_or_from_a_few_steps_that_are_remembered(tmp_path):
    runs, probed, memory = plan(ablation(seeds=[0, 1]), tmp_path / 'runs'), [], tmp_path / 'runs' / 'speeds.json'

    def probe(run, place, stopping):
        probed.append(run)
        trained(run, place, stopping)

    assert estimates(runs, memory) == {}
    found = estimates(runs, memory, probe)
    # All cost the same per step: one probe. 4 steps of 2 images at 8 images per second.
    assert found == {run.key: 1.0 for run in runs} and len(probed) == 1 and probed[0].config.engine.steps < 10
    assert estimates(runs, memory, probe) == estimates(runs, memory) == found and len(probed) == 1
    memory.unlink()
    train_all(runs[:1], trained, [{}])
    assert estimates(runs, memory) == {run.key: 1.0 for run in runs[1:]}


class Page(HTMLParser):
    """Collects what a page refers to and its text, and checks that tags are closed."""

    def __init__(self):
        super().__init__()
        self.links, self.words, self.open = [], [], []

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ('src', 'href')]
        if tag not in ('meta', 'img', 'path'):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ('src', 'href')]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope='module')
def comparison(tmp_path_factory):
    folder = tmp_path_factory.mktemp('ablation')
    plan_of = ablation(seeds=[0, 1])
    runs = plan(plan_of, folder / 'runs')
    train_all(runs[:3], trained, [{}])
    (runs[3].folder).mkdir(parents=True)
    (runs[3].folder / 'failure.txt').write_text('out of <memory>')
    return compare('tiny', plan_of, runs, synthetic(48, 6), folder / 'evaluation', batch=4, visible=False)


def test_tables_hold_means_and_deviations_over_seeds(comparison):
    table = comparison.tables['identity-mobilefacenet']
    rows = {row.name: row for row in table.rows}
    assert list(rows)[:2] == ['base', 'no identity'] and not rows['the truth'].ranked
    assert rows['base'].cells['truth_l1'].deviation > 0 and rows['no identity'].cells['truth_l1'].deviation is None
    assert 0 <= rows['no identity'].cells['background_l1'].p <= 1 and rows['base'].cells['background_l1'].p is None
    assert rows['copy the target'].cells['background_l1'].mean == 0
    assert comparison.curves['train/kl']['base'] == [(2, 0.5), (4, 0.25)]
    assert list(comparison.images) == ['source', 'target', 'truth', 'base', 'no identity']


def test_the_report_holds_all_that_it_needs(comparison):
    text = report(comparison)
    page = Page()
    page.feed(text)
    words = ' '.join(page.words)
    assert page.open == [] and len([link for link in page.links if link]) == 2 * 5
    assert all(link.startswith('data:image/png;base64,') for link in page.links if link)
    assert not any(word in text for word in ('http:', 'https:', '@import', 'url('))
    assert 'Does <it> matter?' in words and 'out of <memory>' in words and 'no identity' in words and 'Wilcoxon' in words
    assert len(re.findall('<g data-line=', text)) == 2


def test_a_single_value_is_a_dot():
    plot = curve({'once': [(80, 0.5)], 'twice': [(40, 1.0), (80, 0.25)]}, ['once', 'twice'])
    point, line = plot.split('<g data-line=')[1:]
    assert point.split('</g>')[0].count('<path') == 1 and '<use' in point.split('</g>')[1] + point.split('</g>')[0]
    assert '<use' not in line.split('</g>')[0]
    assert 'no finite values' in curve({'once': [(80, float('nan'))]}, ['once'])


def test_translators_are_compared_in_each_direction_that_they_know(tmp_path):
    small = {
        'model.size': 32,
        'model.width': 4,
        'model.blocks': 1,
        'model.discriminator_width': 4,
        'model.discriminator_layers': 2,
    }
    base = {'family': 'cyclegan', 'settings': small}
    plan_of = ablation(base=base, variants={'one way': {'family': 'cut', 'settings': {'model.layers': [0, 4]}}})
    runs = plan(plan_of, tmp_path / 'runs')
    train_all(runs, trained, [{}])
    found = compare('tiny', plan_of, runs, translation(size=40, count=6), tmp_path / 'evaluation', batch=4, visible=False)
    rows = {title: {row.name: row.cells for row in table.rows} for title, table in found.tables.items()}
    judge = 'identity-mobilefacenet'
    assert {title: list(names) for title, names in rows.items()} == {
        f'{judge}, a2b': ['base', 'one way', 'none'], f'{judge}, b2a': ['base', 'none']}
    there = rows[f'{judge}, a2b']
    assert there['none']['edges'].mean == pytest.approx(1, abs=1e-5) and there['base']['truth_l1'].mean > 0.05
    assert 0 <= there['one way']['edges'].p <= 1 and there['one way']['edges'].mean < 0.9
    assert list(found.images) == ['a', 'base, a2b', 'one way, a2b', 'b', 'base, b2a']
    assert all(images.shape == (2, 3, 40, 40) for images in found.images.values())


ENCODERS = {'question': 'Do couples help?', 'seeds': [0, 1], 'variants': {'no couples': {'settings': {'data.balanced': False}}},
            'base': {'family': 'recognizer', 'settings': {'model.size': 32, 'model.embedding': 8, 'data.balanced': True,
                                                          'data.name': 'webcaricature', 'data.root': 'people',
                                                          'model.init': 'identity-mobilefacenet', 'model.weights.margin': 0}}}


@pytest.fixture(scope='module')
def drawn_people(tmp_path_factory):
    return webcaricatures(tmp_path_factory.mktemp('webcaricature'), size=32)


def encoder_of(*people):
    def train(run, place, stopping):
        torch.manual_seed(run.seed)
        run.folder.mkdir(parents=True)
        encoder = encoder_bytes(Recognizer(RecognizerConfig(**run.config.model), None), people)
        (run.folder / 'encoder.safetensors').write_bytes(encoder)
    return train


def test_encoders_are_compared_with_what_they_began_from_on_people_whom_none_knows(tmp_path, drawn_people, capsys):
    plan_of, faces = AblationConfig(**ENCODERS), build_faces('webcaricature', drawn_people)
    runs = plan(plan_of, tmp_path / 'runs')
    train_all(runs, encoder_of(name_of(0)), [{}])
    found = compare_encoders('tiny', plan_of, runs, faces)
    (table,) = found.tables.values()
    rows = {row.name: row for row in table.rows}
    assert list(rows) == ['base', 'no couples', 'identity-mobilefacenet, as it was']
    begun = rows['identity-mobilefacenet, as it was']
    assert not begun.ranked and begun.cells['auc'].deviation is None and 0.5 < begun.cells['auc'].mean <= 1
    assert rows['base'].cells['auc'].deviation > 0 and set(table.columns) <= set(rows['base'].cells)
    page = Page()
    page.feed(report(found))
    assert page.open == [] and 'drawing to photo, rank 1' in ' '.join(page.words) and 'Images' not in page.words

    file, out, shown = tmp_path / 'tiny.yaml', tmp_path / 'out', f'{begun.cells["auc"].mean:.3f}'
    file.write_text(json.dumps({**ENCODERS, 'protocol': {'name': 'webcaricature', 'root': str(drawn_people)}}))
    script = importlib.import_module('scripts.ablate')
    assert script.main([str(file), '--compare-only', '--runs', str(tmp_path / 'runs'), '-o', str(out)]) == 0
    assert shown in capsys.readouterr().out and {path.name for path in out.iterdir()} == {
        'table.md', 'table.csv', 'table.tex', 'report.html'}

    knowing = plan(plan_of, tmp_path / 'others')
    train_all(knowing, encoder_of(name_of(19)), [{}])
    with pytest.raises(ValueError, match='identity 19 is one'):
        compare_encoders('tiny', plan_of, knowing, faces)


@pytest.mark.parametrize(('base', 'variant', 'message'), [
    ('recognizer', 'cvae', 'a and the base are an encoder'), ('parser', 'parser', 'runs of the family parser are not compared'),
])
def test_families_whose_runs_are_not_compared_are_refused(tmp_path, base, variant, message):
    plan_of = AblationConfig(question='?', base={'family': base}, variants={'a': {'family': variant}})
    with pytest.raises(ValueError, match=message):
        plan(plan_of, tmp_path)


def test_encoders_are_trained_by_the_same_script_and_both_images_of_a_pair_are_counted(tmp_path, monkeypatch):
    runs = plan(AblationConfig(**ENCODERS), tmp_path / 'runs')
    script = tmp_path / 'scripts' / 'train.py'
    script.parent.mkdir()
    script.write_text('import sys\nsys.exit(" ".join(sys.argv[1:]))\n')
    monkeypatch.setattr(runner, 'ROOT', tmp_path)
    with pytest.raises(RunError) as said:
        runner.train_by_script(runs[0], {}, lambda: False)
    preset = runs[0].folder.with_suffix('.yaml')
    assert str(said.value) == f'--family recognizer --preset {preset} --out {runs[0].folder}'
    assert 'identity-mobilefacenet' in preset.read_text()

    def probe(run, place, stopping):
        run.folder.mkdir(parents=True)
        (run.folder / 'journal.jsonl').write_text('{"step": 3, "event": "train", "images_per_second": 8.0}\n')

    seconds = estimates(runs, tmp_path / 'speeds.json', probe)
    assert seconds[runs[0].key] == 2 * seconds[runs[2].key] > 0


@pytest.mark.parametrize('name', sorted(path.stem for path in FOLDER.glob('*.yaml')))
def test_shipped_ablations_can_be_planned(name, tmp_path):
    found = read_ablation(name)[1]
    runs = plan(found, tmp_path)
    assert len(runs) == len(found.expanded()) * len(found.seeds)
    assert len({json.dumps(run.config.model_dump(mode='json')) for run in runs}) == len(runs) or found.grid
    for run in runs:
        assert family_types(run.config.family)[1](**run.config.model)


def test_a_plan_is_printed_in_three_seconds_without_training(tmp_path):
    """Of processor time: how long one waits for it depends on what else the machine does."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, 'scripts/ablate.py', 'families', '--dry-run', '--runs', str(tmp_path)], text=True,
                          capture_output=True, cwd=runner.ROOT, env={**os.environ, 'OMP_NUM_THREADS': '1'})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0 and 'ddpm, seed 2: ddpm, 10000 steps' in done.stdout and '--estimate measures' in done.stdout
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 3
    assert not list(tmp_path.iterdir())


def test_the_script_lists_its_plan_and_says_what_is_wrong(tmp_path, monkeypatch, capsys):
    script = importlib.import_module('scripts.ablate')
    monkeypatch.setattr(script, 'estimates', lambda runs, memory, train: {run.key: 90.0 for run in runs})
    assert script.main(['quick', '--estimate', '--runs', str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert 'ddpm, no identity loss, seed 0: ddpm' in said and 'about 1.5 min' in said and '9 to train, about 14 minutes' in said
    assert script.main(['nothing']) == 2
    said = capsys.readouterr().err
    assert "no ablation 'nothing'" in said and said.count('\n') == 1
    assert script.main(['quick', '--compare-only', '--runs', str(tmp_path), '-o', str(tmp_path / 'out')]) == 2
    assert 'nothing to compare' in capsys.readouterr().err


@pytest.mark.parametrize('visible, count, places', [
    (None, 2, ['0', '1']), ('3, 1', 2, ['3', '1']), ('2', 1, ['2']), ('GPU-5a1,GPU-9c4', 2, ['GPU-5a1', 'GPU-9c4']),
    ('1,7', 1, ['1']), ('', 0, []), ('-1', 0, []), (None, 0, []),
])
def test_runs_are_given_the_gpus_that_the_user_left_visible(monkeypatch, visible, count, places):
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: count)
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    if visible is not None:
        monkeypatch.setenv('CUDA_VISIBLE_DEVICES', visible)
    assert runner.devices() == ([{'CUDA_VISIBLE_DEVICES': place} for place in places] or [{}])
