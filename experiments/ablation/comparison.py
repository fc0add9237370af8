"""Comparison of the finished runs of an ablation: tables over seeds with a paired test, an image grid, learning curves."""
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

import torch
from scipy.stats import wilcoxon
from torch import Tensor

from configs.ablation import AblationConfig
from datasets.faces import Faces
from datasets.webcaricature import is_official
from experiments.ablation.plan import SAMPLING, Run
from experiments.evaluation.evaluator import Evaluation
from experiments.evaluation.judges import Judges, teachers
from experiments.evaluation.measures import DEFAULT_COLUMNS, MEASURES, RECOGNITION_COLUMNS, TRANSLATION_COLUMNS
from experiments.evaluation.protocols import webcaricature
from experiments.evaluation.protocols.swaps import SwapProtocol
from experiments.evaluation.protocols.translation import TranslationProtocol
from experiments.evaluation.systems import DIRECTIONS, System, Trained, Untranslated, sanity_rows
from experiments.evaluation.tables import Cell, Row, Table
from experiments.evaluation.translation_evaluator import TranslationEvaluation
from experiments.training.logging.journal import learning_curves
from models.batch import collate
from models.perception.build import build_perception
from models.registry import build_family, load_family

_TEST_NOTE = ('* p < 0.05 against the base named in the file, else the first row: Wilcoxon signed-rank test over the pairs of '
              'the mean over seeds. The test concerns these trained networks; the deviation over seeds measures the variance of '
              'training')
_MIN_PAIRS = 6  # pairs of a Wilcoxon test; with fewer, p < 0.05 is impossible
Figures = dict[str, float]  # by metric
Curves = dict[str, dict[str, list[tuple[int, float]]]]  # loss or metric -> variant -> [(step, mean over seeds)]


@dataclass(frozen=True)
class Comparison:
    """Results of an ablation.

    runs: all planned runs; tables: judge of identity, and direction of translation, -> table; images: title -> (B,3,H,W) in
    [-1,1], the columns of a grid, empty for identity encoders; curves: see Curves.
    """

    name: str
    ablation: AblationConfig
    runs: list[Run]
    tables: dict[str, Table]
    images: dict[str, Tensor]
    curves: Curves


def load_run(run: Run, device: str | torch.device) -> Trained:
    """Load a finished run as an evaluated system."""
    perception, file = run.config.perception, run.folder / 'family.safetensors'
    family = load_family(file, build_perception(perception.id_encoder, None, perception.parser).to(device)).to(device)
    system = Trained(f'{run.variant}, seed {run.seed}', family, file)
    if SAMPLING in run.config.model:
        sampling = run.config.model[SAMPLING]
        family.config = family.config.model_copy(update={SAMPLING: type(getattr(family.config, SAMPLING))(**sampling)})
        system.key += json.dumps(sampling)
    return system


def compare(name: str, ablation: AblationConfig, runs: list[Run], protocol: SwapProtocol | TranslationProtocol, folder: Path, *,
            device: str | torch.device = 'cpu', batch: int = 16, visible: bool = True) -> Comparison:
    """Evaluate all finished runs on the protocol.

    Args:
        name: name of the ablation.
        runs: all planned runs.
        folder: folder of stored evaluations.
        batch: pairs per batch.
        visible: whether progress bars are printed.

    Raises:
        ValueError: no run is finished.
    """
    finished = _finished(runs)
    trained_with = set().union(*(teachers(build_family(run.config.family, run.config.model, None), run.config.perception)
                                 for run in finished))
    requested: list[str | None] = [*ablation.judges] or [None]
    tables = {}
    for embedder in requested:
        judges = Judges(embedder, trained_with=trained_with, device=device)
        judge = judges.names.get('identity', 'none')
        if isinstance(protocol, SwapProtocol):
            baselines = sanity_rows(protocol.causes is not None)
            evaluation = Evaluation(protocol, judges, folder, batch=batch, visible=visible)
            tables[judge] = _table(ablation, finished, evaluation, baselines, ablation.columns or DEFAULT_COLUMNS, device)
            continue
        for direction in DIRECTIONS:
            translators = [run for run in finished if direction in load_run(run, device).directions]
            translation = TranslationEvaluation(protocol, judges, folder, direction, batch=batch, visible=visible)
            if translators:
                tables[f'{judge}, {direction}'] = _table(ablation, translators, translation, [Untranslated()],
                                                         ablation.columns or TRANSLATION_COLUMNS, device)
    return Comparison(name, ablation, runs, tables, _images(ablation, finished, protocol, device), _curves(finished))


def compare_encoders(name: str, ablation: AblationConfig, runs: list[Run], faces: Faces, *,
                     device: str | torch.device = 'cpu') -> Comparison:
    """Measure the encoders of all finished runs, and their initializations, on photos against drawings of other identities.

    Args:
        faces: the partition `all` of datasets.webcaricature. View 1 is used where the data set has the official lists, else 2.

    Raises:
        ValueError: no run is finished, or one was trained on an identity of the view.
    """
    finished, view = _finished(runs), 1 if is_official(faces) else 2

    def figures(source: str | Path) -> Figures:
        encoder, settings = webcaricature.read_encoder(source, device), ('unrestricted', 'c2p', 'p2c')
        result = webcaricature.measure(faces, [encoder], settings, view=view, device=device)
        return {metric if setting == 'unrestricted' else f'{setting}_{metric}': mean
                for setting, row in result.figures.items() for metric, (mean, _) in row.items()}

    variant_figures = defaultdict(list)
    for run in finished:
        variant_figures[run.variant].append(figures(run.folder / 'encoder.safetensors'))
    rows = [Row(variant, _over_seeds(seed_figures)) for variant, seed_figures in variant_figures.items()]
    for source in dict.fromkeys(run.config.model['init'] for run in finished):
        if source:
            rows.append(Row(f'{source}, without training', _over_seeds([figures(source)]), ranked=False))
    notes = [f'view {view} of {faces.root}, mean over its folds; {_seed_count(ablation)}',
             'not checked: training identities of published networks, which an encoder may be initialized from or distilled from']
    table = Table(rows, ablation.columns or RECOGNITION_COLUMNS, notes)
    return Comparison(name, ablation, runs, {'the encoder itself': table}, {}, _curves(finished))


def _over_seeds(seed_figures: list[Figures]) -> dict[str, Cell]:
    return {metric: _cell([figures[metric] for figures in seed_figures]) for metric in seed_figures[0]}


def _cell(values: list[float], p: float | None = None) -> Cell:
    """Mean and standard deviation over seeds."""
    return Cell(fmean(values), stdev(values) if len(values) > 1 else None, p)


def _seed_count(ablation: AblationConfig) -> str:
    return f'{len(ablation.seeds)} seed{"s" if len(ablation.seeds) > 1 else ""}'


def _finished(runs: list[Run]) -> list[Run]:
    """The finished runs. Raises ValueError where there are none."""
    finished = [run for run in runs if run.finished]
    if not finished:
        reason = next((run.failure for run in runs if run.failure), 'they are still to be trained')
        raise ValueError(f'none of the {len(runs)} runs is finished ({reason}), so there is nothing to compare')
    return finished


def _table(ablation: AblationConfig, runs: list[Run], evaluation: Evaluation | TranslationEvaluation, baselines: list[System],
           columns: Sequence[str], device: str | torch.device) -> Table:
    """Rows of the variants with means over seeds and p values against their bases, then rows of the sanity baselines."""
    baseline_rows = [evaluation.row(system) for system in baselines]
    figures: dict[str, list[Figures]] = defaultdict(list)
    pairs: dict[str, dict[str, list[Tensor]]] = defaultdict(lambda: defaultdict(list))  # variant -> metric -> (N,) of each seed
    row = baseline_rows[0]
    for run in runs:
        system = load_run(run, device)
        row = evaluation.row(system)
        figures[run.variant].append({metric: figure['mean'] for metric, figure in row['figures'].items()})
        for metric, values in evaluation.pairs(system).items():
            pairs[run.variant][metric].append(values)
    changes, rows = ablation.expanded(), []
    for variant, seed_figures in figures.items():
        base = pairs.get(changes[variant].against or ablation.base_name, {})
        cells = {}
        for metric in seed_figures[0]:
            p = None if variant == ablation.base_name else _p_value(pairs[variant].get(metric), base.get(metric))
            cells[metric] = _cell([seed[metric] for seed in seed_figures if metric in seed], p)
        rows.append(Row(variant, {metric: cell for metric, cell in cells.items() if metric in MEASURES}))
    for baseline in baseline_rows:
        cells = {metric: Cell(figure['mean']) for metric, figure in baseline['figures'].items() if metric in MEASURES}
        rows.append(Row(baseline['name'], cells, ranked=False))
    list_hash = f', list sha256 {row["sha256"]}' if 'sha256' in row else ''
    notes = [f'{row["pairs"]} pairs of the protocol {row["protocol"]}{list_hash}; {_seed_count(ablation)}', _TEST_NOTE,
             'judges: ' + ', '.join(f'{metric} by {network}' for metric, network in row['judges'].items()),
             *(f'not measured, {metric}: {reason}' for metric, reason in row['missing'].items()), *row['notes']]
    return Table(rows, columns, notes)


def _p_value(variant: list[Tensor] | None, base: list[Tensor] | None) -> float | None:
    """p value of the Wilcoxon signed-rank test over pairs; None for metrics of a whole set or fewer than _MIN_PAIRS pairs."""
    if not variant or not base:
        return None
    difference = (torch.stack(variant).mean(0) - torch.stack(base).mean(0)).double()
    difference = difference[torch.isfinite(difference)]
    if len(difference) < _MIN_PAIRS:
        return None
    return 1.0 if not difference.any() else float(wilcoxon(difference.numpy()).pvalue)


@torch.no_grad()
def _images(ablation: AblationConfig, runs: list[Run], protocol: SwapProtocol | TranslationProtocol,
            device: str | torch.device) -> dict[str, Tensor]:
    """Columns of the image grid, with the first finished seed of each variant: source, target, the true swap where it exists, and
    swaps; for translations the images of a and their translations, then those of b."""
    first = {run.variant: run for run in reversed(runs)}
    systems = {variant: load_run(first[variant], device) for variant in dict.fromkeys(run.variant for run in runs)}
    columns: dict[str, Tensor] = {}
    if isinstance(protocol, SwapProtocol):
        swaps = collate([protocol.pairs[row] for row in range(min(ablation.images, len(protocol.names)))]).to(device)
        columns = {'source': swaps.source, 'target': swaps.target}
        if swaps.truth is not None:
            columns['truth'] = swaps.truth
        columns |= {variant: system.generate(swaps) for variant, system in systems.items()}
    else:
        pairs = collate([protocol.pairs[row] for row in range(min(ablation.images, protocol.count))]).to(device)
        for direction, images in zip(DIRECTIONS, (pairs.a, pairs.b)):
            columns[direction[0]] = images
            columns |= {f'{variant}, {direction}': system.translate(images, direction) for variant, system in systems.items()
                        if direction in system.directions}
    return {title: images.cpu() for title, images in columns.items()}


def _curves(runs: list[Run]) -> Curves:
    """Losses and validation metrics of the journals."""
    values: dict[str, dict[str, dict[int, list[float]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for run in runs:
        for name, line in learning_curves(run.folder).items():
            for step, value in line:
                values[name][run.variant][step].append(value)
    return {name: {variant: [(step, fmean(seeds)) for step, seeds in sorted(steps.items())]
                   for variant, steps in variants.items()} for name, variants in sorted(values.items())}
