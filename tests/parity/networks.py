"""The networks that the parity suite knows: one entry per folder name."""
from tests.parity.perception import PERCEPTION

NETWORKS = {**PERCEPTION}

# checkpoint fixtures: (folder, fixture) -> name in the table of models.weights
CHECKPOINTS = {('mobilefacenet_112x96', 'fixture_checkpoint068'): 'mobilefacenet-068'}
