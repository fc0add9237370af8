"""Networks of the parity suite by the name of their folder of fixtures."""
from tests.parity.cgan import CGAN
from tests.parity.content_style import CONTENT_STYLE
from tests.parity.cyclegan import CYCLEGAN
from tests.parity.ddpm import DDPM
from tests.parity.ilvr import ILVR
from tests.parity.perception import PERCEPTION
from tests.parity.pix2pixhd import PIX2PIXHD
from tests.parity.stargan import STARGAN
from tests.parity.ugatit import UGATIT

NETWORKS = {**PERCEPTION, **CGAN, **CYCLEGAN, **CONTENT_STYLE, **UGATIT, **PIX2PIXHD, **STARGAN, **DDPM, **ILVR}

# (folder, fixture with published weights) -> name in the table of models.weights
CHECKPOINTS = {('mobilefacenet_112x96', 'fixture_checkpoint068'): 'mobilefacenet-068'}
