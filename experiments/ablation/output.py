"""The protocol of an ablation's file, the comparison on it, and the files of the results."""
from pathlib import Path

import torch

from configs.ablation import AblationConfig
from datasets.faces import Faces
from datasets.registry import build_faces
from experiments.ablation.comparison import Comparison, compare, compare_encoders
from experiments.ablation.plan import Run
from experiments.ablation.report import report
from experiments.evaluation.protocols.swaps import SwapProtocol, build_protocol
from experiments.evaluation.protocols.translation import TranslationProtocol, translation
from models.pipelines.io.image_grid import encode_png, grid
from models.registry import family_entry
from models.storage.files import write_bytes


def load_protocol(ablation: AblationConfig, folder: Path) -> SwapProtocol | TranslationProtocol | Faces:
    """The protocol on which the runs are compared; for identity encoders the images of WebCaricature.

    Lists of pairs are written to `folder`. Raises ValueError for a missing or unusable data set.
    """
    protocol = ablation.protocol
    if family_entry(ablation.base.family).task == 'identity':
        return build_faces('webcaricature', protocol.root)
    if protocol.name == 'translation':
        return translation(protocol.root, protocol.size, protocol.count)
    return build_protocol(protocol.name, folder, root=protocol.root, targets=protocol.targets, size=protocol.size,
                          count=protocol.count)


def compare_runs(name: str, ablation: AblationConfig, runs: list[Run], protocol: SwapProtocol | TranslationProtocol | Faces,
                 folder: Path, *, device: str | torch.device = 'cpu') -> Comparison:
    """Compare the finished runs.

    Args:
        protocol: return value of `load_protocol`.
        folder: folder of stored evaluations.

    Raises:
        ValueError: no run is finished.
    """
    if isinstance(protocol, Faces):
        return compare_encoders(name, ablation, runs, protocol, device=device)
    return compare(name, ablation, runs, protocol, folder, device=device)


def write_comparison(folder: Path, comparison: Comparison) -> Path:
    """Write the tables (Markdown, CSV, LaTeX), images.png for families of images, and report.html. Returns the path of the
    report."""
    folder.mkdir(parents=True, exist_ok=True)
    for judge, table in comparison.tables.items():
        table.write(folder, 'table' if len(comparison.tables) == 1 else f'table-{judge.replace(", ", "-")}')
    if comparison.images:
        write_bytes(folder / 'images.png', encode_png(grid(comparison.images, rows=comparison.ablation.images)))
    write_bytes(folder / 'report.html', report(comparison).encode())
    return folder / 'report.html'
