"""Run folders."""
import time
from pathlib import Path


def run_folder(name: str, out: Path | None, resume: Path | None) -> Path:
    """The folder of a run: RUN of --resume, FOLDER of --out, or runs/NAME-DATE. ValueError where the folder holds another run."""
    folder = resume or out or Path('runs') / f'{name}-{time.strftime("%Y%m%d-%H%M%S")}'
    if not resume and (folder / 'config.yaml').exists():
        raise ValueError(f'{folder} holds a run already; continue it with --resume {folder} or give another --out')
    return folder
