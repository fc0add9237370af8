"""Networks of the parity suite by folder name."""
from tests.parity.cgan import CGAN
from tests.parity.ddpm import DDPM
from tests.parity.ilvr import ILVR
from tests.parity.perception import PERCEPTION
from tests.parity.translation_a import TRANSLATION_A
from tests.parity.translation_b import TRANSLATION_B

NETWORKS = {**PERCEPTION, **CGAN, **TRANSLATION_A, **TRANSLATION_B, **DDPM, **ILVR}

# checkpoint fixtures: (folder, fixture) -> name in the table of models.weights
CHECKPOINTS = {('mobilefacenet_112x96', 'fixture_checkpoint068'): 'mobilefacenet-068'}
