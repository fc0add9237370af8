"""ILVR: the resizer and complete trajectories of the published sampler."""
import json
from unittest.mock import patch

import torch
from torch import Tensor, nn

from models.ddpm.ilvr import ILVRConfig, published
from models.ddpm.lowpass import low_pass, reduced, taps
from models.ddpm.samplers import sample
from models.ddpm.schedules import scheduler
from tests.parity.ddpm import adm
from tests.parity.fixture import Fixture
from tests.parity.network import Network

_SIDE_PX = 64


def _resizer(network: nn.Module, fixture: Fixture) -> dict[str, Tensor]:
    image, outputs = fixture.uniform([1, 3, _SIDE_PX, _SIDE_PX]), {}
    for factor in (4, 8):
        outputs |= {f'down{factor}': reduced(image, factor), f'updown{factor}': low_pass(image, factor)}
        for name, row in (('down', (_SIDE_PX, 1 / factor, _SIDE_PX // factor)), ('up', (_SIDE_PX // factor, factor, _SIDE_PX))):
            outputs[f'{name}{factor}_weights'], outputs[f'{name}{factor}_fov'] = taps(*row)
    return outputs


def _denoiser_fixture(fixture: Fixture) -> Fixture:
    """The fixture of the small denoiser, a sibling folder."""
    return Fixture.read(fixture.folder.parent / 'ilvr_adm_unet', fixture.input_stream)


def _trajectories(network: nn.Module, fixture: Fixture) -> dict[str, Tensor]:
    settings = json.loads((fixture.folder / 'config.json').read_text())
    steps, shape = int(settings['timestep_respacing']), settings['shape']
    denoiser = adm(_denoiser_fixture(fixture).config).eval()
    denoiser.load_state_dict(_denoiser_fixture(fixture).weights())
    reference, outputs = fixture.uniform(shape, 'ref'), {}
    for prefix, last_steps in (('range0', 0), ('range5', 5), ('uncond', None)):
        rng, shapes, states = fixture.stream('noise'), [], []

        def randn(size, rng=rng, shapes=shapes, **options) -> Tensor:
            shapes.append(size)
            return torch.from_numpy(rng.standard_normal(tuple(size)).astype('float32'))

        config = ILVRConfig(corrects='noisy', down=settings['down_N'], until=(last_steps or 0) / steps, steps=steps)
        correct = (lambda x, step: x) if last_steps is None else published(reference, config)

        def hook(x: Tensor, step, correct=correct, states=states) -> Tensor:
            states.append(correct(x, step))
            return states[-1]

        with patch('torch.randn', randn):
            noise = torch.randn(shape)
            final = sample(denoiser, scheduler('ancestral', settings['noise_schedule']), noise, None, steps, hook=hook)
        outputs |= {f'{prefix}_final': final, f'{prefix}_after_first_step': states[0][:, :, ::4, ::4],
                    f'{prefix}_step_means': torch.stack([x.double().mean() for x in states]),
                    f'{prefix}_step_stds': torch.stack([x.double().std(correction=0) for x in states]),
                    f'{prefix}_draws': torch.tensor([len(shapes)])}
    return outputs


ILVR = {
    'ilvr_resizer': Network(lambda config: nn.Identity(), _resizer),
    'ilvr_trajectory': Network(lambda config: nn.Identity(), _trajectories,
                               tolerance={f'{prefix}_final': 1e-3 for prefix in ('range0', 'range5', 'uncond')}),
}
