r"""Part features of pix2pixHD: cluster the encoded features of a data set per label, or sample faces from the clusters.

    python scripts/encode_features.py --weights RUN/family.safetensors --data celebamask --root CELEBAMASK -o features.npz
    python scripts/encode_features.py --weights RUN/family.safetensors --data celebamask --root CELEBAMASK \
        --features features.npz -o sheet.png

The second form generates images from the label maps of the first faces of the data set; the feature of each label is a random
cluster center (--seed).
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from experiments.console import quiet_interrupts, run_script

quiet_interrupts()

import argparse
from itertools import islice

import torch

from datasets.loaders import build_loader, build_swaps
from datasets.preparation.feature_clusters import cluster_features, label_features, read_centers, write_centers
from datasets.registry import FACES
from experiments.training.errors import RunError, explain_out_of_memory
from models.perception.build import build_perception
from models.pipelines.io.image_grid import encode_png, grid
from models.registry import load_family
from models.storage.files import write_bytes
from models.translation.pix2pixhd.family import Pix2PixHD
from models.weights import WeightsError


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--weights', type=Path, required=True, metavar='FILE', help='family.safetensors of a pix2pixHD')
    parser.add_argument('--data', choices=['synthetic', *FACES], default='synthetic', help='data set (%(default)s)')
    parser.add_argument('--root', help='folder of the data set')
    parser.add_argument('--partition', default='train', help='partition of the data set (%(default)s)')
    parser.add_argument('--limit', type=int, default=2000, help='images to encode, or faces to generate (%(default)s)')
    parser.add_argument('--clusters', type=int, default=10, help='largest number of clusters per label (%(default)s)')
    parser.add_argument('--features', type=Path, metavar='FILE', help='clusters of the first form: sample faces')
    parser.add_argument('--samples', type=int, default=4, help='samples of each face (%(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='seed of the random numbers (%(default)s)')
    parser.add_argument('-o', '--out', type=Path, required=True, help='file to write: .npz of clusters, or a contact sheet')
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> None:
    """Raises ValueError or WeightsError for weights or features that do not fit."""
    family = load_family(args.weights, build_perception())
    if not isinstance(family, Pix2PixHD) or not family.config.features:
        raise ValueError(f'{args.weights} is no pix2pixHD with part features; train one with train.py --family pix2pixhd')
    data = build_swaps(args.data, args.root, family.config.size, args.partition, seed=args.seed)
    batches = islice(build_loader(data, 8, seed=args.seed, shuffle=False), max(1, args.limit // 8))
    if args.features is None:
        write_centers(args.out, cluster_features(label_features(family, batches), args.clusters, args.seed))
    else:
        centers, rng, batch = read_centers(args.features), torch.Generator().manual_seed(args.seed), next(batches)
        labels = family.labels(batch)
        samples = {f'sample {number + 1}': family.sample(labels, centers, generator=rng) for number in range(args.samples)}
        write_bytes(args.out, encode_png(grid({'layout of': batch.target, **samples})))
    print(args.out)


def main(argv: list[str] | None = None) -> int:
    try:
        with explain_out_of_memory(lambda: 'set --limit or --samples lower'):
            run(parse(argv))
    except (ValueError, OSError, WeightsError, RunError) as error:
        print(f'encode_features.py: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(run_script(main))
