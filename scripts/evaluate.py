"""Evaluate runs, images of another system, or perception networks on a fixed protocol.

    python scripts/evaluate.py --run RUN
    python scripts/evaluate.py --run RUN --protocol celeba --root CELEBA --against IMAGES_FOLDER
    python scripts/evaluate.py --family cvae --protocol folder --root SOURCES --targets TARGETS
    python scripts/evaluate.py --run TRANSLATOR --protocol translation --root TWO_DOMAINS
    python scripts/evaluate.py --protocol verification --judge identity-mobilefacenet --root LFW --pairs pairs.txt
    python scripts/evaluate.py --protocol webcaricature --encoder encoder.safetensors --root WEBCARICATURE
    python scripts/evaluate.py --network mobilefacenet-068 --data celeba --root CELEBA
    python scripts/evaluate.py --network parsing-unet --root FASSEG CELEBAMASK

Tables of swaps include sanity baselines: copies of target and source, cut and paste, and the true swap where it exists. Tables of
translations include the untranslated images. Images of another system are named by the rows of pairs.csv: 000000.png, ...
An interrupted evaluation resumes when the command is run again.
--network measures an identity encoder on the identities of a partition (rendered ones without --root), a face parser on folders
with label maps and on rendered faces, or a regressor of rendering parameters on rendered faces.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from experiments.console import quiet_interrupts, run_script

quiet_interrupts()

import argparse
from itertools import chain

from configs.renamed import renamed_metric
from configs.resolve import PRESETS, load, read_preset
from configs.schema import PerceptionConfig
from datasets.registry import FACES, build_faces
from datasets.webcaricature import SETTINGS
from experiments.evaluation.evaluator import Evaluation
from experiments.evaluation.groups import read_groups
from experiments.evaluation.judges import Judges, teachers
from experiments.evaluation.measures import DEFAULT_COLUMNS, MEASURES, TRANSLATION_COLUMNS
from experiments.evaluation.networks import causes_report, network_task, parsing_report, verification_report
from experiments.evaluation.plots import roc
from experiments.evaluation.protocols.swaps import PROTOCOLS, build_protocol
from experiments.evaluation.protocols.translation import translation
from experiments.evaluation.protocols.verification import read_pairs, sample_pairs, verify_pairs
from experiments.evaluation.protocols.webcaricature import measure, read_encoder
from experiments.evaluation.systems import DIRECTIONS, Images, System, Trained, Untranslated, sanity_rows
from experiments.evaluation.tables import from_evaluation
from experiments.evaluation.translation_evaluator import TranslationEvaluation
from experiments.options import add_device_option
from experiments.training.errors import RunError, explain_out_of_memory
from models import weights
from models.base import Task
from models.geometry import TEMPLATES
from models.perception.build import EMBEDDERS, build_perception, load_embedder
from models.registry import GENERATORS, load_family
from models.storage.files import write_bytes
from models.storage.strict_json import json_text

_TABLE = ('size', 'count', 'judge', 'columns', 'out', 'batch')
_SWAPS = ('run', 'family', 'against', 'by', *_TABLE)
# protocol, or `network` -> options that have an effect
EFFECTIVE = {
    'network': ('network', 'root', 'partition', 'data'),
    'verification': ('root', 'data', 'pairs', 'judge'),
    'webcaricature': ('root', 'judge', 'encoder', 'settings', 'view', 'out', 'batch'),
    'translation': ('run', 'family', 'root', *_TABLE),
    **{name: ('root', *_SWAPS) for name in PROTOCOLS},
    'synthetic': ('causes', *_SWAPS),
    'folder': ('root', 'targets', *_SWAPS),
}


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    systems = parser.add_argument_group('systems')
    systems.add_argument('--run', type=Path, action='append', default=[], help='run folder; may be given several times')
    systems.add_argument('--family', choices=GENERATORS, action='append', default=[], help="a family with the zoo's weights")
    systems.add_argument('--against', type=Path, action='append', default=[], metavar='IMAGES_FOLDER',
                         help='images of another system')
    systems.add_argument('--network', action='append', default=[], metavar='NAME|FILE',
                         help='published perception network, or the encoder.safetensors, parser.safetensors or '
                              'causes.safetensors of a run')
    protocol = parser.add_argument_group('protocol and metrics')
    protocol.add_argument('--protocol', choices=[*PROTOCOLS, 'translation', 'verification', 'webcaricature'], default='synthetic',
                          help='evaluation protocol (%(default)s)')
    protocol.add_argument('--root', nargs='+', metavar='FOLDER', help='folder of the data set; of the sources for the protocol '
                          'folder; several for a face parser')
    protocol.add_argument('--partition', default='test', help='network: partition that is measured (%(default)s)')
    protocol.add_argument('--targets', help='second folder of the protocol folder')
    protocol.add_argument('--pairs', type=Path, help="verification: list in the format of LFW's pairs.txt (random pairs)")
    protocol.add_argument('--data', choices=FACES, default='folder',
                          help='verification and networks: data set in the root (%(default)s)')
    protocol.add_argument('--encoder', type=Path, nargs='+', default=[], metavar='FILE',
                          help='webcaricature: encoder.safetensors, one for all folds or one for each (that of --judge)')
    protocol.add_argument('--settings', nargs='+', choices=SETTINGS, default=SETTINGS[1:],
                          help='webcaricature: measured settings (%(default)s)')
    protocol.add_argument('--view', type=int, choices=(1, 2), default=2,
                          help='webcaricature: 1 to choose parameters (%(default)s)')
    protocol.add_argument('--count', type=int, help="number of pairs (that of the protocol)")
    protocol.add_argument('--size', type=int, help="side of the images in pixels (that of the protocol)")
    protocol.add_argument('--judge', choices=EMBEDDERS, help='embedder that measures identity (one not used in training)')
    protocol.add_argument('--causes', type=Path, help='weights of the cause regressor, for the protocol synthetic')
    protocol.add_argument('--by', metavar='tone|FILE',
                          help='add a row for each group of sources: skin tones, or the groups in a CSV file with the columns '
                               'file and group')
    parser.add_argument('--columns', nargs='+', type=renamed_metric, choices=MEASURES, metavar='METRIC',
                        help='metrics of the table (those of the protocol)')
    parser.add_argument('-o', '--out', type=Path, help='folder (default RUN/evaluation, or outputs/evaluation)')
    parser.add_argument('--batch', type=int, default=16, help='pairs at a time (%(default)s)')
    add_device_option(parser)
    args = parser.parse_args(argv)
    mode = 'network' if args.network else args.protocol
    for name, value in vars(args).items():
        if value != parser.get_default(name) and name not in (*EFFECTIVE[mode], 'device', 'protocol' if not args.network else ''):
            evaluation = '--network' if args.network else f'the protocol {args.protocol}'
            parser.error(f'--{name} has no effect on {evaluation}; remove it')
    if args.data != parser.get_default('data') and not args.root:
        parser.error('--data names the data set in the folder --root; give --root')
    args.roots = args.root or []
    args.root = args.roots[0] if args.roots else None
    if args.network:
        return args
    if len(args.roots) > 1:
        parser.error('only --network takes several folders')
    if args.protocol in PROTOCOLS and not (args.run or args.family or args.against):
        parser.error('give a system: --run, --family or --against')
    if args.protocol in ('verification', 'webcaricature') and not args.root:
        parser.error(f'the protocol {args.protocol} reads images; give their folder with --root')
    return args


def zoo_perception(family: str) -> PerceptionConfig:
    """Perception config of the zoo weights of a family, from its preset for real faces."""
    name = f'{family}-faces'
    return PerceptionConfig(**(read_preset(name).get('perception', {}) if (PRESETS / f'{name}.yaml').is_file() else {}))


def trained(args: argparse.Namespace, task: Task) -> tuple[list[Trained], set[str]]:
    """The evaluated families and the names of the embedders used in their training. Raises ValueError for a family of another
    task."""
    systems, training_embedders = [], set()
    named = [(run.name, run / 'family.safetensors', load(run / 'config.yaml').perception) for run in args.run]
    named += [(family, weights.path(family), zoo_perception(family)) for family in args.family]
    for name, file, perception_config in named:
        perception = build_perception(perception_config.id_encoder, None, perception_config.parser).to(args.device)
        family = load_family(file, perception, task=task).to(args.device)
        systems.append(Trained(name, family, file))
        training_embedders |= teachers(family, perception_config)
    return systems, training_embedders


def swaps(args: argparse.Namespace, out: Path) -> tuple[list[dict], Path, list[str]]:
    """Rows of swap systems, their folder, and the names of the sanity baselines."""
    families, training_embedders = trained(args, 'swap')
    systems: list[System] = [*families, *(Images(folder.name, folder) for folder in args.against)]
    protocol = build_protocol(args.protocol, out / 'lists' / args.protocol, root=args.root, targets=args.targets, size=args.size,
                              count=args.count)
    judges = Judges(args.judge, trained_with=training_embedders, causes=args.causes, device=args.device)
    evaluation = Evaluation(protocol, judges, out, batch=args.batch)
    sanity = sanity_rows(protocol.causes is not None)
    rows = [evaluation.row(system) for system in [*sanity, *systems]]
    if args.by:
        groups = evaluation.source_groups(None if args.by == 'tone' else read_groups(Path(args.by)))
        lines = [f'{source},{target},{group}' for (source, target), group in zip(evaluation.protocol.names, groups)]
        write_bytes(evaluation.folder / 'groups.csv', '\n'.join(['source,target,group', *lines, '']).encode())
        rows += chain(*(evaluation.by_group(row, system, groups) for row, system in zip(rows[len(sanity):], systems)))
    return rows, evaluation.folder, [system.name for system in sanity]


def translations(args: argparse.Namespace, out: Path) -> tuple[list[dict], Path, list[str]]:
    """Rows of translation systems, one per direction; results as for `swaps`."""
    families, training_embedders = trained(args, 'translate')
    protocol = translation(args.root, args.size or (families[0].family.config.size if families else None), args.count)
    judges, folder = Judges(args.judge, trained_with=training_embedders, device=args.device), out / 'translation'
    rows, none = [], Untranslated()
    for system in [none, *families]:
        for direction in system.directions or DIRECTIONS:
            evaluation = TranslationEvaluation(protocol, judges, folder, direction, batch=args.batch)
            rows.append({**evaluation.row(system), 'name': f'{system.name} {direction}'})
    return rows, folder, [f'{none.name} {direction}' for direction in none.directions]


def verify(args: argparse.Namespace) -> str:
    """Verification metrics of an embedder as a line: mean and standard deviation over the folds."""
    name = args.judge or 'identity-mobilefacenet'
    embedder, template = load_embedder(name).to(args.device), EMBEDDERS[name][1]['template']
    faces = build_faces(args.data, args.root, 'all' if args.pairs else 'test')
    pairs = read_pairs(args.pairs, faces) if args.pairs else sample_pairs(faces)
    row = verify_pairs(lambda images: embedder(images, template=template), faces, pairs, TEMPLATES[template], device=args.device)
    figures = ', '.join(f'{metric} {mean:.4f} ± {deviation:.4f}' for metric, (mean, deviation) in row.items())
    return f'{name} on {len(pairs.same)} pairs in {len(set(pairs.fold))} folds: {figures}'


def networks(args: argparse.Namespace) -> str:
    """Metrics of each perception network as lines."""
    reports = {
        'identity': lambda source: verification_report(source, args.data if args.root else 'synthetic', args.root, args.partition,
                                                       device=args.device),
        'parsing': lambda source: parsing_report(source, args.roots, args.partition, device=args.device),
        'causes': lambda source: causes_report(source, device=args.device),
    }
    return '\n'.join(reports[network_task(source)](source) for source in args.network)


def webcaricature(args: argparse.Namespace, folder: Path) -> str:
    """Recognition metrics as lines. Writes figures.json and roc.svg to the folder."""
    sources = args.encoder or [args.judge or 'identity-mobilefacenet']
    encoders = [read_encoder(source, args.device) for source in sources]
    faces = build_faces('webcaricature', args.root)
    result = measure(faces, encoders, args.settings, view=args.view, batch=args.batch, device=args.device)
    names = [encoder.name for encoder in encoders]
    folder.mkdir(parents=True, exist_ok=True)
    figures = {'encoders': names, 'view': args.view, **result.figures}
    write_bytes(folder / 'figures.json', json_text(figures, indent=1).encode())
    write_bytes(folder / 'roc.svg', roc(result.curves).encode())
    lines = [f'{setting}: ' + ', '.join(f'{name} {mean:.4f} ± {deviation:.4f}' for name, (mean, deviation) in row.items())
             for setting, row in result.figures.items()]
    lines.append('not checked: training identities of published networks that are measured or initialize an encoder')
    return '\n'.join([', '.join(names), *lines, str(folder)])


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    out = args.out or (args.run[0] if args.run else Path('outputs')) / 'evaluation'
    try:
        if args.network:
            print(networks(args))
            return 0
        if args.protocol == 'webcaricature':
            print(webcaricature(args, out / 'webcaricature'))
            return 0
        if args.protocol == 'verification':
            print(verify(args))
            return 0
        translate = args.protocol == 'translation'
        with explain_out_of_memory(lambda: f'set --batch below {args.batch} or --device cpu'):
            rows, folder, sanity = (translations if translate else swaps)(args, out)
        table = from_evaluation(rows, args.columns or (TRANSLATION_COLUMNS if translate else DEFAULT_COLUMNS), sanity)
        table.write(folder)
    except (ValueError, OSError, weights.WeightsError, RunError) as error:
        print(f'evaluate.py: {error}', file=sys.stderr)
        return 2
    print(table.markdown(), end='')
    print(f'\n{folder}')
    return 0


if __name__ == '__main__':
    sys.exit(run_script(main))
