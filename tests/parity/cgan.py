"""SimSwap: generators, discriminators, soft masks."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.cgan.discriminators import PatchConfig, PatchDiscriminator, ProjectedConfig, ProjectedDiscriminator
from models.cgan.generator import PUBLISHED, Generator
from models.pipelines.simswap import smooth_inwards, soft_mask, softening_kernel
from tests.parity.fixture import Fixture
from tests.parity.network import Network, forward

_BARE = ProjectedConfig(pretrained=False, value_range='signed')  # without ImageNet normalization


def _generator(config: dict) -> Generator:
    """The generator of the training code, with linear output, or of the published checkpoints, with tanh."""
    deep = config['deep'] or config.get('extra_level', False)
    name = f'simswap-{512 if deep else 224}' + ('-training' if config['output'] == 'linear' else '')
    return Generator(PUBLISHED[name].model_copy(update={'blocks': config['n_blocks'], 'id_dim': config['latent_size']}))


@torch.no_grad()
def _patches(network: nn.Module, fixture: Fixture) -> dict[str, Tensor]:
    image, = fixture.inputs()
    maps, logits = network(image)
    half = F.avg_pool2d(image, 3, 2, 1, count_include_pad=False)
    return {**{f'feat{index}': value for index, value in enumerate(maps)}, 'logits': logits, 'logits_half': network(half)[1]}


@torch.no_grad()
def _projected(network: nn.Module, fixture: Fixture) -> dict[str, Tensor]:
    output = network(*fixture.inputs())
    return {'logits': output.logits[0], **{f'feat{index}': value for index, value in enumerate(output.features)}}


def _softened(network: nn.Module, fixture: Fixture) -> dict[str, Tensor]:
    """The soft mask of an ellipse, whose center and radii are in the fixture."""
    ellipse = fixture.tensor('ellipse')
    y, x, ry, rx = ellipse.tolist()
    rows, columns = torch.arange(224.0)[:, None], torch.arange(224.0)
    hard = (((rows - y) / ry) ** 2 + ((columns - x) / rx) ** 2 <= 1).float()[None, None]
    soft = soft_mask(hard)
    return {'ellipse': ellipse, 'kernel': softening_kernel(), 'soft_mask': soft[:, :, ::2, ::2],
            'soft_mask_stats': torch.stack([soft.mean(), soft.std(correction=0), soft.max()]),
            'hard_count': (smooth_inwards(hard) >= 0.9).sum()}


CGAN = {
    **{f'simswap_generator_{form}': Network(_generator, forward('out'))
       for form in ('224', '512_deep', '224_original', '512_original')},
    'simswap_discriminator_original': Network(lambda config: PatchDiscriminator(PatchConfig()), _patches),
    'simswap_projected_discriminator': Network(lambda config: ProjectedDiscriminator(_BARE), _projected,
                                               tolerance={'logits': 1e-4}),
    'simswap_soft_mask': Network(lambda config: nn.Identity(), _softened),
}
