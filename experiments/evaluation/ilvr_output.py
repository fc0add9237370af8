"""Files of an ILVR comparison: samples, contact sheets, figures."""
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from experiments.evaluation.ilvr import COLUMNS, Samples
from experiments.evaluation.plots import scatter
from experiments.evaluation.tables import Table
from models.ddpm.lowpass import low_pass
from models.images import to_uint8
from models.pipelines.io.contact_sheet import contact_sheet
from models.pipelines.io.images import write_image
from models.storage.files import write_bytes

_MIN_SHEET_CELL_PX = 192
_BLANK = np.full((1, 1, 3), 250, np.uint8)


def write_samples(folder: Path, names: Sequence[str], samples: Samples) -> None:
    """Write the samples (R,n,3,S,S) of one setting as NAME_SETTING_NUMBER.png. names: of the R references."""
    setting = samples.row.name.replace(', ', '_').replace(' ', '').replace(':', '-')
    for name, images in zip(names, samples.images):
        for number, image in enumerate(to_uint8(images)):
            write_image(folder / f'{name}_{setting}_{number}.png', image)


def write_sheets(folder: Path, names: Sequence[str], references: Tensor, results: Sequence[Samples]) -> list[Path]:
    """Write NAME_sheet.png for each of the references (R,3,S,S): the reference and its low-passes above the samples of each
    setting. Returns the paths."""
    paths = [folder / f'{name}_sheet.png' for name in names]
    for index, (path, reference) in enumerate(zip(paths, references)):
        low_passes = torch.cat([low_pass(reference[None], samples.config.finest) for samples in results])
        rows = [list(to_uint8(torch.cat([reference[None], low_passes])))]
        rows += [[_BLANK, *to_uint8(torch.stack([samples.images[index, number] for samples in results]))]
                 for number in range(results[0].images.shape[1])]
        headings = ['reference', *(samples.row.name for samples in results)]
        write_image(path, contact_sheet(rows, headings, max(_MIN_SHEET_CELL_PX, reference.shape[-1])))
    return paths


def write_figures(folder: Path, results: Sequence[Samples]) -> Table:
    """Write figures.csv, figures.md and figures.svg with a row for each setting; returns the table."""
    rows = [samples.row for samples in results]
    table = Table(rows, COLUMNS)
    write_bytes(folder / 'figures.csv', table.csv().encode())
    write_bytes(folder / 'figures.md', table.markdown().encode())
    write_bytes(folder / 'figures.svg', scatter(rows, 'faithfulness', ('id_reference', 'variety', 'seconds')).encode())
    return table
