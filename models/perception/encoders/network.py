"""Base and interface of the face recognition networks."""
from typing import ClassVar, Protocol, runtime_checkable

from torch import Tensor, nn


class EncoderNetwork(nn.Module):
    """Base of the trainable networks: images (B,3,H,W) -> embeddings (B,D), not normalized.

    last_stage: prefixes of the parameters of the last stage, which can be trained alone.
    """

    last_stage: ClassVar[tuple[str, ...]]


@runtime_checkable
class FeatureNetwork(Protocol):
    """A network with feature maps, whose embedding is head(features(x)[-1])."""

    def features(self, x: Tensor, count: int = ...) -> list[Tensor]:
        """The `count` finest feature maps (B,C,.,.), by default all."""

    def head(self, x: Tensor) -> Tensor:
        """The deepest feature map -> (B,D)."""
