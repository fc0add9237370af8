"""Mixed precision of a training run."""
from lightning_fabric.plugins.precision import MixedPrecision


class AutocastPrecision(MixedPrecision):
    """Fabric's mixed precision, whose autocast alone decides what runs in half precision: batches stay the tensors that they are,
    so that landmarks and warps keep float32 and a family can recognize a batch that two of its parameter groups are given.

    A checkpoint of a run in another precision holds no state of the gradient scaler, which then starts afresh."""

    def convert_input(self, data):
        return data

    def load_state_dict(self, state_dict: dict) -> None:
        if state_dict:
            super().load_state_dict(state_dict)
