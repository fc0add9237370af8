"""The smallest config of each family that generates images, with all of its losses."""
from typing import Any

from tests.contract.stubs import ID_DIM


def _equal_weights(*losses: str) -> dict[str, float]:
    return dict.fromkeys(losses, 1.0)


TINY_CONFIGS: dict[str, dict[str, Any]] = {
    'cvae': {
        'size': 32, 'widths': (8, 16), 'depth': 1, 'latent': 4, 'style': 8, 'background': 8, 'id_dim': ID_DIM, 'fine': 8,
        'discriminator': 4,
        'weights': _equal_weights('reconstruction', 'edges', 'perceptual', 'kl', 'id', 'background', 'parsing', 'shading',
                                  'contrast', 'total_variation', 'landmarks', 'adversarial', 'discriminator'),
    },
    'cgan': {
        'size': 16,
        'generator': {'fold': 2, 'widths': (16, 16), 'blocks': 1, 'decoder_blocks': 1, 'id_dim': ID_DIM, 'style': 8,
                      'norm': 'group', 'value_range': 'signed', 'tanh': False, 'attention': (4,), 'condition_channels': 1,
                      'background_image': True, 'skips': 'background_image', 'skip_width': 8, 'mask': True},
        'discriminator': {'kind': 'sagan', 'widths': (8, 16), 'fold': 2, 'attention': (8,), 'spectral': False, 'classes': 5},
        'weights': _equal_weights('id', 'reconstruction', 'edges', 'background', 'perceptual', 'parsing', 'shading', 'contrast',
                                  'total_variation', 'landmarks', 'adversarial', 'feature_matching', 'cycle', 'classes',
                                  'discriminator', 'gradient_penalty', 'r1', 'discriminator_classes'),
    },
    'ddpm': {
        'size': 16, 'widths': (8, 16), 'attention': 1, 'tokens': 2, 'id_dim': ID_DIM, 'learned_sigma': True,
        'sampling': {'steps': 2},
        'weights': {'noise': 1.0, 'id': 0.1, 'background': 0.3, 'perceptual': 0.1, 'variational': 0.001},
    },
    'munit': {
        'size': 16, 'width': 4, 'style': 2, 'hidden': 8, 'residuals': 1, 'discriminator_width': 4, 'discriminator_layers': 2,
        'scales': 2,
        'weights': _equal_weights('adversarial', 'reconstruction', 'style', 'content', 'cycle', 'perceptual', 'discriminator'),
    },
    'pix2pixhd': {
        'size': 16, 'width': 4, 'downs': 1, 'blocks': 1, 'enhancer': True, 'local_blocks': 1, 'feature_width': 4,
        'discriminator_width': 4, 'discriminator_layers': 1,
    },
    'satnet': {
        'size': 16, 'width': 4, 'style': 2, 'hidden': 8, 'residuals': 1, 'discriminator_width': 4, 'discriminator_layers': 2,
        'scales': 2, 'threshold': 2.0, 'adversary': 'lsgan',
        'weights': _equal_weights('adversarial', 'reconstruction', 'style', 'content', 'cycle', 'id', 'supervised',
                                  'discriminator'),
    },
    'ugatit': {
        'size': 16, 'width': 4, 'discriminator_width': 4, 'blocks': 1, 'global_layers': 4, 'local_layers': 3, 'enhanced': True,
        'squeeze': True, 'masks': 2, 'keep_input': True, 'masked_discriminator': True, 'cam_input': 'both',
        'weights': _equal_weights('adversarial_a2b', 'adversarial_b2a', 'cycle', 'identity_mapping', 'cam', 'background',
                                  'variation', 'discriminator_a2b', 'discriminator_b2a'),
    },
    'cyclegan': {
        'size': 16, 'width': 4, 'blocks': 1, 'discriminator_width': 4, 'discriminator_layers': 2,
        'weights': {'adversarial': 1.0, 'cycle': 10.0, 'identity_mapping': 5.0, 'discriminator': 0.5, 'penalty': 10.0},
    },
    'cut': {
        'size': 16, 'width': 4, 'blocks': 1, 'discriminator_width': 4, 'discriminator_layers': 2, 'layers': (0, 4, 8),
        'patches': 8, 'features': 8,
    },
    'cartoongan': {
        'size': 16, 'width': 4, 'blocks': 1, 'discriminator_width': 4,
        'weights': _equal_weights('adversarial', 'content', 'color', 'id', 'discriminator'),
    },
    'dtn': {'size': 16, 'width': 4, 'discriminator_width': 4, 'features': ID_DIM},
    'xgan': {'size': 32, 'width': 4, 'embedding': 16, 'discriminator_width': 4, 'id_dim': ID_DIM},
    'stargan': {'size': 32, 'width': 8, 'cap': 8, 'style': 4, 'latent': 4, 'mapping': 8},
}
