"""MUNIT (Huang et al. 2018, arXiv:1804.04732): multimodal translation. Losses: models.translation.content_style.family."""
from pydantic import Field

from models.translation.content_style.family import ContentStyle, ContentStyleConfig


class MUNITConfig(ContentStyleConfig):
    """The weights are published for photos (summer and winter)."""

    weights: dict[str, float] = Field({'adversarial': 1.0, 'reconstruction': 10.0, 'style': 1.0, 'content': 1.0, 'cycle': 10.0,
                                       'perceptual': 0.0, 'discriminator': 1.0}, description='weight of each loss')


class MUNIT(ContentStyle):
    """Translation in both directions, in sampled styles or those of reference images."""
