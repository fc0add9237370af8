"""Generators with the published weights of SimSwap."""
import torch
from torch import Tensor

from models import weights
from models.cgan.generator import PUBLISHED, Generator
from models.conversion.convert import read_archive, read_state


def _state(name: str) -> dict[str, Tensor]:
    """State dict from the converted file if it exists, otherwise from the published archive."""
    converted = weights.converted(name)
    return read_state(converted) if converted else list(read_archive(weights.path(name)).values())[-1]


def load_generator(name: str) -> Generator:
    """simswap-224 or simswap-512 with its published weights, in eval mode. Raises models.weights.WeightsError if they are
    missing or do not fit."""
    state = _state(name)
    with torch.device('meta'):
        generator = Generator(PUBLISHED[name])
    try:
        generator.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise weights.WeightsError(f'the weights {name} belong to another network: fetch them again') from error
    return generator.float().eval().requires_grad_(False)
