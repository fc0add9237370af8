"""ILVR: the resizer and whole trajectories of the published sampler."""
import json
from unittest.mock import patch

import torch
from torch import Tensor, nn

from models.ddpm.ilvr import ILVRConfig, published
from models.ddpm.lowpass import low_pass, reduced, taps
from models.ddpm.samplers import sample
from models.ddpm.schedules import scheduler
from tests.parity.ddpm import adm
from tests.parity.network import Network
from tests.parity.rule import Facts

_SIDE = 64


def _resizer(network: nn.Module, facts: Facts) -> dict[str, Tensor]:
    image, outputs = facts.uniform([1, 3, _SIDE, _SIDE]), {}
    for factor in (4, 8):
        outputs |= {f'down{factor}': reduced(image, factor), f'updown{factor}': low_pass(image, factor)}
        for name, row in (('down', (_SIDE, 1 / factor, _SIDE // factor)), ('up', (_SIDE // factor, factor, _SIDE))):
            outputs[f'{name}{factor}_weights'], outputs[f'{name}{factor}_fov'] = taps(*row)
    return outputs


def _beside(facts: Facts) -> Facts:
    """Those of the small network, whose folder lies beside."""
    return Facts.read(facts.folder.parent / 'ilvr_adm_unet', facts.input_stream)


def _trajectories(network: nn.Module, facts: Facts) -> dict[str, Tensor]:
    settings = json.loads((facts.folder / 'config.json').read_text())
    steps, shape = int(settings['timestep_respacing']), settings['shape']
    denoiser = adm(_beside(facts).config).eval()
    denoiser.load_state_dict(_beside(facts).weights())
    reference, outputs = facts.uniform(shape, 'ref'), {}
    for prefix, kept in (('range0', 0), ('range5', 5), ('uncond', None)):
        normal, draws, seen = facts.stream('noise'), [], []

        def draw(size, normal=normal, draws=draws, **placed) -> Tensor:
            draws.append(size)
            return torch.from_numpy(normal.standard_normal(tuple(size)).astype('float32'))

        asked = ILVRConfig(corrects='noisy', down=settings['down_N'], until=(kept or 0) / steps, steps=steps)
        correct = (lambda x, step: x) if kept is None else published(reference, asked)

        def hook(x: Tensor, step, correct=correct, seen=seen) -> Tensor:
            seen.append(correct(x, step))
            return seen[-1]

        with patch('torch.randn', draw):
            noise = torch.randn(shape)
            final = sample(denoiser, scheduler('ancestral', settings['noise_schedule']), noise, None, steps, hook=hook)
        outputs |= {f'{prefix}_final': final, f'{prefix}_after_first_step': seen[0][:, :, ::4, ::4],
                    f'{prefix}_step_means': torch.stack([x.double().mean() for x in seen]),
                    f'{prefix}_step_stds': torch.stack([x.double().std(correction=0) for x in seen]),
                    f'{prefix}_draws': torch.tensor([len(draws)])}
    return outputs


ILVR = {
    'ilvr_resizer': Network(lambda config: nn.Identity(), _resizer),
    'ilvr_trajectory': Network(lambda config: nn.Identity(), _trajectories,
                               tolerance={f'{prefix}_final': 1e-3 for prefix in ('range0', 'range5', 'uncond')}),
}
