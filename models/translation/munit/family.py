"""MUNIT (Huang et al. 2018, arXiv:1804.04732): several translations of one image. Losses:
models.translation.content_style.family."""
from models.translation.content_style.family import ContentStyle, ContentStyleConfig


class MUNITConfig(ContentStyleConfig):
    """The weights are those of the published set-up for photos (summer and winter)."""

    weights: dict[str, float] = {'adversarial': 1.0, 'reconstruction': 10.0, 'style': 1.0, 'content': 1.0, 'cycle': 10.0,
                                 'perceptual': 0.0, 'discriminator': 1.0}


class MUNIT(ContentStyle):
    """Checkpoints: models.translation.published."""
