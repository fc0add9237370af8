"""Mixed precision of a training run."""
from typing import Any

from lightning_fabric.plugins.precision import MixedPrecision


class AutocastPrecision(MixedPrecision):
    """Fabric's mixed precision without its conversion of inputs, so that autocast alone selects operations in half precision and
    landmarks and warps keep float32.

    A checkpoint of another precision holds no state of the gradient scaler, which then keeps its initial state.
    """

    def convert_input(self, data: Any) -> Any:
        return data

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if state_dict:
            super().load_state_dict(state_dict)
