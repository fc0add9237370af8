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

_TEST = ('* p < 0.05 against the base named in the file, else the first row: Wilcoxon signed-rank test over the pairs, seeds '
         'are pooled by their mean. The test concerns these trained networks; '
         'the deviation over seeds measures the variance of training')


@dataclass(frozen=True)
class Comparison:
    """tables: judge of identity (and of translations the direction) -> table. images: title -> (B,3,H,W) in [-1,1], in the
    order of the columns; encoders make none. curves: loss or figure -> variant -> [(step, value)], the mean over seeds.
    runs: all that were planned."""

    name: str
    ablation: AblationConfig
    runs: list[Run]
    tables: dict[str, Table]
    images: dict[str, Tensor]
    curves: dict[str, dict[str, list[tuple[int, float]]]]


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
    """Evaluate all finished runs on the protocol. Raises ValueError where no run is finished."""
    finished = _finished(runs)
    taught = set().union(*(teachers(build_family(run.config.family, run.config.model, None), run.config.perception)
                           for run in finished))
    tables = {}
    for chosen in ablation.judges or [None]:
        judges = Judges(chosen, trained_with=taught, device=device)
        judge = judges.names.get('identity', 'none')
        if isinstance(protocol, SwapProtocol):
            sanity = sanity_rows(protocol.causes is not None)
            evaluation = Evaluation(protocol, judges, folder, batch=batch, visible=visible)
            tables[judge] = _table(ablation, finished, evaluation, sanity, ablation.columns or DEFAULT_COLUMNS, device)
            continue
        for direction in DIRECTIONS:
            able = [run for run in finished if direction in load_run(run, device).directions]
            evaluation = TranslationEvaluation(protocol, judges, folder, direction, batch=batch, visible=visible)
            if able:
                tables[f'{judge}, {direction}'] = _table(ablation, able, evaluation, [Untranslated()],
                                                         ablation.columns or TRANSLATION_COLUMNS, device)
    return Comparison(name, ablation, runs, tables, _images(ablation, finished, protocol, device), _curves(finished))


def compare_encoders(name: str, ablation: AblationConfig, runs: list[Run], faces: Faces, *,
                     device: str | torch.device = 'cpu') -> Comparison:
    """Measure the encoders of all finished runs, and what they began from, on photos against drawings of people whom they never
    learned from. faces: those of datasets.webcaricature, partition `all`; view 1 where there are lists. ValueError where no run
    is finished, or where one has learned from a person of the view."""
    finished, view = _finished(runs), 1 if is_official(faces) else 2

    def figures(source: str | Path) -> dict[str, float]:
        encoder, settings = webcaricature.read_encoder(source, device), ('unrestricted', 'c2p', 'p2c')
        found = webcaricature.measure(faces, [encoder], settings, view=view, device=device).figures
        return {name if setting == 'unrestricted' else f'{setting}_{name}': mean
                for setting, row in found.items() for name, (mean, _) in row.items()}

    measured = defaultdict(list)
    for run in finished:
        measured[run.variant].append(figures(run.folder / 'encoder.safetensors'))
    rows = [Row(variant, _over_seeds(found)) for variant, found in measured.items()]
    for source in dict.fromkeys(run.config.model['init'] for run in finished):
        if source:
            rows.append(Row(f'{source}, as it was', _over_seeds([figures(source)]), ranked=False))
    notes = [f'view {view} of {faces.root}, mean over its folds; {_count(ablation)}',
             'not checked: whom published networks had seen, which an encoder may begin from or be taught by']
    table = Table(rows, ablation.columns or RECOGNITION_COLUMNS, notes)
    return Comparison(name, ablation, runs, {'the encoder itself': table}, {}, _curves(finished))


def _over_seeds(found: list[dict[str, float]]) -> dict[str, Cell]:
    return {measure: _cell([one[measure] for one in found]) for measure in found[0]}


def _cell(values: list[float], p: float | None = None) -> Cell:
    return Cell(fmean(values), stdev(values) if len(values) > 1 else None, p)


def _count(ablation: AblationConfig) -> str:
    return f'{len(ablation.seeds)} seed{"s" if len(ablation.seeds) > 1 else ""}'


def _finished(runs: list[Run]) -> list[Run]:
    finished = [run for run in runs if run.finished]
    if not finished:
        reason = next((run.failure for run in runs if run.failure), 'they are still to be trained')
        raise ValueError(f'none of the {len(runs)} runs is finished ({reason}), so there is nothing to compare')
    return finished


def _table(ablation: AblationConfig, runs: list[Run], evaluation: Evaluation | TranslationEvaluation, unlearnt: list[System],
           columns: Sequence[str], device) -> Table:
    sanity = [evaluation.row(system) for system in unlearnt]
    figures, pairs = defaultdict(list), defaultdict(lambda: defaultdict(list))
    row = sanity[0]
    for run in runs:
        system = load_run(run, device)
        row = evaluation.row(system)
        figures[run.variant].append({name: figure['mean'] for name, figure in row['figures'].items()})
        for name, values in evaluation.pairs(system).items():
            pairs[run.variant][name].append(values)
    changes, rows = ablation.expanded(), []
    for variant, found in figures.items():
        cells, base = {}, pairs.get(changes[variant].against or ablation.base_name, {})
        for measure in found[0]:
            values = [seed[measure] for seed in found if measure in seed]
            p = None if variant == ablation.base_name else _p(pairs[variant].get(measure), base.get(measure))
            cells[measure] = _cell(values, p)
        rows.append(Row(variant, {key: cell for key, cell in cells.items() if key in MEASURES}))
    for one in sanity:
        cells = {key: Cell(figure['mean']) for key, figure in one['figures'].items() if key in MEASURES}
        rows.append(Row(one['name'], cells, ranked=False))
    listed = f', list sha256 {row["sha256"]}' if 'sha256' in row else ''
    notes = [f'{row["pairs"]} pairs of the protocol {row["protocol"]}{listed}; {_count(ablation)}', _TEST,
             'judges: ' + ', '.join(f'{measure} by {name}' for measure, name in row['judges'].items()),
             *(f'not measured, {measure}: {why}' for measure, why in row['missing'].items()), *row['notes']]
    return Table(rows, columns, notes)


def _p(variant: list[Tensor] | None, base: list[Tensor] | None) -> float | None:
    """p value of the Wilcoxon signed-rank test over pairs; None for metrics of a whole set or fewer than 6 pairs."""
    if not variant or not base:
        return None
    difference = (torch.stack(variant).mean(0) - torch.stack(base).mean(0)).double()
    difference = difference[torch.isfinite(difference)]
    if len(difference) < 6:
        return None
    return 1.0 if not difference.any() else float(wilcoxon(difference.numpy()).pvalue)


@torch.no_grad()
def _images(ablation: AblationConfig, runs: list[Run], protocol: SwapProtocol | TranslationProtocol,
              device) -> dict[str, Tensor]:
    """Source, target, the truth where it is known, then the swap of each variant's first finished seed; of translations the
    images of a, then theirs in each variant, and the same for b."""
    first = {run.variant: run for run in reversed(runs)}
    systems = {variant: load_run(first[variant], device) for variant in dict.fromkeys(run.variant for run in runs)}
    if isinstance(protocol, SwapProtocol):
        rows = range(min(ablation.images, len(protocol.names)))
        batch = collate([protocol.pairs[row] for row in rows]).to(device)
        columns = {'source': batch.source, 'target': batch.target}
        if batch.truth is not None:
            columns['truth'] = batch.truth
        columns |= {variant: system.generate(batch) for variant, system in systems.items()}
    else:
        batch, columns = collate([protocol.pairs[row] for row in range(min(ablation.images, protocol.count))]).to(device), {}
        for direction in DIRECTIONS:
            columns[direction[0]] = images = getattr(batch, direction[0])
            columns |= {f'{variant}, {direction}': system.translate(images, direction) for variant, system in systems.items()
                        if direction in system.directions}
    return {title: images.cpu() for title, images in columns.items()}


def _curves(runs: list[Run]) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Losses and validation metrics of the journals, as the mean over seeds."""
    found: dict = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for run in runs:
        for name, line in learning_curves(run.folder).items():
            for step, value in line:
                found[name][run.variant][step].append(value)
    return {name: {variant: [(step, fmean(values)) for step, values in sorted(steps.items())]
                   for variant, steps in variants.items()} for name, variants in sorted(found.items())}
