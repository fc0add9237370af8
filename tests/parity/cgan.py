"""SimSwap's networks: one entry per folder of fixtures."""
from models.cgan.generator import PUBLISHED, Generator
from tests.parity.network import Network, forward


def _generator(config: dict) -> Generator:
    """The training code's forms are linear, those of the published checkpoints end in tanh."""
    deep = config['deep'] or config.get('extra_level', False)
    name = f'simswap-{512 if deep else 224}' + ('-training' if config['output'] == 'linear' else '')
    return Generator(PUBLISHED[name].model_copy(update={'blocks': config['n_blocks'], 'identity': config['latent_size']}))


CGAN = {
    **{f'simswap_generator_{form}': Network(_generator, forward('out'))
       for form in ('224', '512_deep', '224_original', '512_original')},
}
