r"""Train a face recognition network, by a margin head, by distillation from a teacher, or by both; and measure one.

    python scripts/train_identity.py --data folder --root PEOPLE --network iresnet50 --head arcface --set model.embedding=512
    python scripts/train_identity.py --data celeba --root CELEBA --head none --teacher mobilefacenet-068 --optimizer adamw \
        --lr 1e-3
    python scripts/train_identity.py --preset photo-drawing --init mobilefacenet-068 --root WEBCARICATURE
    python scripts/train_identity.py --resume RUN
    python scripts/train_identity.py --evaluate mobilefacenet-068 --data celeba --root CELEBA

Data: celeba, celebamask, folder (PEOPLE/name/image.jpg), webcaricature, a packed cache, or synthetic (drawn people; the
default). The run folder gets encoder.safetensors, the network without its head, and learned_from.json. At the end, and with
--evaluate (a name of the table of weights, or an encoder.safetensors), verification on the people of the test partition is
printed. Whom an encoder learned from is written into its file, for scripts/evaluate.py --protocol webcaricature.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from experiments.console import quiet_interrupts, run_script

quiet_interrupts()

import argparse
import json
from collections.abc import Sequence
from itertools import islice

import torch

from configs.resolve import checked, parse_override
from configs.schema import RunConfig
from datasets.faces import PARTITIONS
from datasets.loaders import FACES, build_loader
from datasets.samples.identities import build_identities
from experiments.evaluation.protocols.verification import verify
from experiments.training.completion import complete
from experiments.training.engine import Engine
from experiments.training.errors import RunError
from experiments.training.fabric import build_fabric
from experiments.training.run_folder import run_folder
from experiments.training.settings import resumed, started
from models.base import Perception
from models.batch import FaceBatch
from models.perception.build import EMBEDDERS, load_embedder
from models.perception.encoders.family import HEADS, NETWORKS, Recognizer, RecognizerConfig, frame
from models.perception.encoders.files import encoder_bytes, load_encoder, start
from models.storage.files import write_bytes
from models.weights import WeightsError


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--init', metavar='NAME|FILE', help='begin from this published network or encoder.safetensors')
    parser.add_argument('--network', choices=NETWORKS, help='what to train (default mobilefacenet)')
    parser.add_argument('--head', choices=[*HEADS, 'none'], help='margin head (default arcface)')
    parser.add_argument('--teacher', choices=EMBEDDERS, help='learn to embed as this one does')
    parser.add_argument('--optimizer', choices=['sgd', 'adamw'], help='default sgd')
    parser.add_argument('--lr', type=float, help='learning rate (default 0.1)')
    parser.add_argument('--preset', default='recognizer', help='YAML file, or its name in configs/')
    parser.add_argument('--data', choices=['synthetic', *FACES], help='data set (default synthetic)')
    parser.add_argument('--root', help='folder of the data set')
    parser.add_argument('--steps', type=int, help='updates')
    parser.add_argument('--set', action='extend', nargs='+', default=[], metavar='KEY=VALUE',
                        help='any settings, such as engine.seed=1')
    parser.add_argument('--out', type=Path, help='run folder (default runs/recognizer-DATE)')
    parser.add_argument('--resume', type=Path, metavar='RUN', help='go on with a run folder')
    parser.add_argument('--evaluate', metavar='NAME|FILE', help='measure this network instead of training one')
    args = parser.parse_args(argv)
    if args.resume and (args.out or args.evaluate):
        parser.error('--resume takes its folder from the run; leave --out and --evaluate away')
    return args


def settings(args: argparse.Namespace) -> RunConfig:
    """The resolved config; ValueError names what does not fit."""
    no_head = args.head == 'none'
    given = {'model.network': args.network, 'model.head': None if no_head else args.head, 'model.init': args.init,
             'perception.teacher': args.teacher,
             'model.weights.margin': 0.0 if no_head else None, 'model.weights.distill': 1.0 if args.teacher else None,
             'param_groups.default.name': args.optimizer, 'param_groups.default.lr': args.lr, 'data.name': args.data,
             'data.root': args.root, 'engine.steps': args.steps}
    overrides = []
    for name, value in given.items():
        if value is not None:
            for key in reversed(name.split('.')):
                value = {key: value}
            overrides.append(value)
    overrides += [parse_override(text) for text in args.set]
    if args.resume:
        return resumed(args.resume, overrides, RecognizerConfig, FaceBatch)
    return started('recognizer', RecognizerConfig, FaceBatch, args.preset, overrides)


def build(args: argparse.Namespace) -> tuple[Engine, list[str]]:
    """The engine of the run, and the names of the people whom it learns from or, before it was resumed, learned from."""
    config = settings(args)
    model = checked(RecognizerConfig, config.model)
    begun, known = None, []
    if model.init and not args.resume:
        fixed, begun, known = start(model.init)
        if args.network not in (None, fixed['network']):
            raise ValueError(f'{model.init} is a {fixed["network"]}, not a {args.network}; leave --network away')
        model = model.model_copy(update=fixed)
    folder = run_folder('recognizer', args.out, args.resume)
    data, seed = config.data, config.engine.seed
    people = build_identities(data.name, data.root, frame(model), data.partition, seed=seed, augment=data.augment,
                              balanced=data.balanced, exaggerate=data.exaggerate)
    if not args.resume:
        model = model.model_copy(update={'num_identities': people.num_identities})
        config = config.model_copy(update={'model': model.model_dump()})
    elif model.num_identities != people.num_identities:
        raise ValueError(f'the run was trained on {model.num_identities} identities and the data set holds '
                         f'{people.num_identities}; give the same data')
    fabric = build_fabric(config.engine)
    torch.manual_seed(seed)
    perception = None
    if (model.weights.get('distill') or model.weights.get('hints')) and config.perception.teacher:
        teacher = load_embedder(config.perception.teacher)
        perception = Perception(teacher, teacher)
    family = Recognizer(model, perception)
    if begun is not None:
        family.network.load_state_dict({name: begun[name] for name in family.network.state_dict()})
    loader = build_loader(people, data.batch, seed=seed, workers=data.workers, rank=fabric.global_rank,
                          world_size=fabric.world_size)
    engine = Engine(config, family, loader, fabric=fabric, folder=fabric.broadcast(folder), validation=held_out(config, model))
    if args.resume:
        engine.resume()
    return engine, noted(engine, [*people.names, *known])


def noted(engine: Engine, names: Sequence[str]) -> list[str]:
    """`names` and those that the run folder has noted; it notes them all."""
    path = engine.folder / 'learned_from.json'
    known = sorted({*names, *(json.loads(path.read_text()) if path.is_file() else ())})
    if engine.fabric.is_global_zero:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, json.dumps(known).encode())
    return known


def held_out(config: RunConfig, model: RecognizerConfig) -> list:
    """Validation batches of other people: they can show how close the teacher is, but have no class in the margin head."""
    data, seed = config.data, config.engine.seed
    if not model.weights.get('distill') or not data.validation_batches:
        return []
    people = build_identities(data.name, data.root, frame(model), data.validation_partition, seed=seed)
    return list(islice(build_loader(people, data.batch, seed=seed, shuffle=False), data.validation_batches))


def evaluate(args: argparse.Namespace, name: str) -> None:
    """Print the verification figures of a network of the table, or of an encoder file, on the test partition."""
    config = settings(args)
    if Path(name).is_file():
        embedder, template = load_encoder(name)
    else:
        embedder, template = load_embedder(name), EMBEDDERS[name][1]['template']
    device = 'cuda' if torch.cuda.is_available() and config.engine.accelerator != 'cpu' else 'cpu'
    part = config.data.partition  # of the people of a fold of webcaricature, the others are measured
    part = 'test' if part in (*PARTITIONS, 'all') else f'{part.removesuffix("-test")}-test'
    people = build_identities(config.data.name, config.data.root, embedder.template, part, seed=config.engine.seed)
    embedder.to(device)
    row = verify(lambda images: embedder(images, template=template), people, device=device, workers=config.data.workers)
    words = [f'{key} {value:.4f}' if isinstance(value, float) else f'{value} {key}' for key, value in row.items()]
    print(f'{name}: {", ".join(words)}')


def _measured(args: argparse.Namespace, encoder: Path) -> None:
    """evaluate; where the data has nobody left to measure on, it says so, as the encoder is written all the same."""
    try:
        evaluate(args, str(encoder))
    except ValueError as error:
        print(f'train_identity.py: {encoder} is written but not measured: {error}', file=sys.stderr)


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    try:
        if args.evaluate:
            evaluate(args, args.evaluate)
            return 0
        engine, names = build(args)
    except (ValueError, OSError, WeightsError, RunError) as error:
        print(f'train_identity.py: {error}', file=sys.stderr)
        return 2

    def finish() -> None:
        encoder = engine.folder / 'encoder.safetensors'
        with engine.ema.applied():
            write_bytes(encoder, encoder_bytes(engine.family, names))
        args.resume = engine.folder
        _measured(args, encoder)

    return complete(engine, 'train_identity.py', finish)


if __name__ == '__main__':
    sys.exit(run_script(main))
