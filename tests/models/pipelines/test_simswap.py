"""The pipeline of the published SimSwap: alignment, network inputs, pasting, weights. tests/parity compares its networks."""
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from models import geometry, weights
from models.batch import PARTS
from models.cgan.published import load_generator
from models.perception.encoders.simswap_arcface import SimSwapArcFace
from models.pipelines import simswap
from models.pipelines.simswap import CROP_TEMPLATES, SimSwapper, best_alignment, border_alpha, soft_mask
from tests.models.stubs import FixedDetector, face_at, photo


class RecordingEncoder(nn.Module):
    """A constant identity encoder that records its input."""

    def forward(self, x):
        self.input = x
        return torch.ones(len(x), 512)


def swapper(generate, faces=None, name='simswap-224', **options) -> SimSwapper:
    return SimSwapper(generate, RecordingEncoder(), FixedDetector(faces or {}), CROP_TEMPLATES[name], **options)


@pytest.mark.parametrize('pose', range(5))
def test_face_is_aligned_to_the_template_of_its_pose(pose):
    template = CROP_TEMPLATES['simswap-224'][pose]
    matrix = torch.tensor([[1.2, -0.4, 30.0], [0.4, 1.2, -12.0]])
    points = geometry.apply(matrix, template.tensor())
    torch.testing.assert_close(geometry.apply(best_alignment(points.numpy(), CROP_TEMPLATES['simswap-224']), points),
                               template.tensor(), rtol=0, atol=1e-2)


def test_512_network_has_one_template_of_its_size():
    template, = CROP_TEMPLATES['simswap-512']
    assert template.width == 512
    points = face_at(300, 250, 90, angle=20).points
    crop, matrix = swapper(None, name='simswap-512').crop(photo(500, 600), points)
    assert crop.shape == (1, 3, 512, 512)
    eyes = geometry.apply(torch.from_numpy(matrix).float(), torch.from_numpy(points))[:2]
    torch.testing.assert_close(eyes, template.tensor()[:2], rtol=0, atol=12)


def test_inputs_of_generator_and_encoder():
    inputs = {}

    def generate(target, identity):
        inputs.update(target=target, identity=identity)
        return target

    sim_swapper = swapper(generate, {(300, 400): [face_at(200, 150, 60)], (310, 410): [face_at(205, 150, 60)]})
    white = np.full((310, 410, 3), 255, np.uint8)
    sim_swapper.swap(white, photo(300, 400))
    assert inputs['target'].shape == (1, 3, 224, 224) and inputs['target'].abs().max() <= 1
    assert sim_swapper.encoder.input.shape == (1, 3, 112, 112)
    expected = (1 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(sim_swapper.encoder.input[0, :, 56, 56], expected)
    torch.testing.assert_close(inputs['identity'].norm(dim=1), torch.ones(1))


def test_swap_replaces_the_center_of_the_face_only():
    face, before = face_at(200, 160, 60), photo(320, 400)
    after = swapper(lambda target, identity: torch.ones_like(target), {before.shape[:2]: [face]}).swap(before, before).image
    assert (after[150:170, 190:210] == 255).all()
    assert (after[:30] == before[:30]).all() and (after[:, :40] == before[:, :40]).all()
    same = swapper(lambda target, identity: target, {before.shape[:2]: [face]}).swap(before, before).image
    assert np.abs(same.astype(int) - before).mean() < 0.5


def test_all_chosen_faces_are_replaced():
    before = photo(300, 700)
    faces = {before.shape[:2]: [face_at(180, 150, 50), face_at(520, 150, 50)], (200, 200): [face_at(100, 100, 40)]}
    white = swapper(lambda target, identity: torch.ones_like(target), faces)
    image = white.swap(photo(200, 200), before, target_face='all').image
    assert (image[145:155, 175:185] == 255).all() and (image[145:155, 515:525] == 255).all()


def test_border_alpha_is_one_inside_and_zero_outside_the_crop():
    matrix = np.array([[1.0, 0, -50], [0, 1.0, -30]])  # the crop begins at (50, 30) of the frame
    alpha = border_alpha(matrix, 200, 300, 320)
    assert alpha.shape == (300, 320, 1) and alpha[130, 150] > 0.999
    assert alpha[30:230, 50].max() < 0.5 and alpha[:28].max() == 0 and alpha[:, :48].max() == 0
    assert border_alpha(np.array([[1.0, 0, 0], [0, 1.0, 0]]), 200, 200, 200)[0, 100] > 0.999, 'no falloff at image borders'


def test_swap_is_limited_to_the_parsed_face():
    class LeftHalf(nn.Module):
        """Segments `part` in the left half."""

        def forward(self, x):
            logits = torch.zeros(len(x), len(PARTS), *x.shape[2:])
            logits[:, 0, :, x.shape[3] // 2:] = logits[:, self.part, :, :x.shape[3] // 2] = 1
            return (logits,)

    parser = nn.Module()
    parser.network, parser.order = LeftHalf(), range(len(PARTS))
    target, swap = torch.zeros(1, 3, 224, 224), torch.ones(1, 3, 224, 224)
    parser.network.part = PARTS.index('skin')
    masked = swapper(None, parser=parser).mask_swap(target, swap)
    assert (masked[..., 100:120, 40:60] == 1).all() and (masked[..., 125:] == 0).all()
    parser.network.part = PARTS.index('hair')
    torch.testing.assert_close(swapper(None, parser=parser).mask_swap(target, swap), swap)


def test_soft_mask_falls_off_inwards_from_one():
    mask = torch.zeros(2, 1, 64, 64)
    mask[0, 0, 8:56, 8:56] = 1
    soft = soft_mask(mask)
    assert soft[0, 0, 32, 32] == 1 and soft[0, 0, :2].max() < 0.05 and soft.max() <= 1 and not soft[1].any()
    assert (soft[0, 0, 32, :32].diff() >= -1e-6).all()


# The identity encoder

def state(depths, squeeze) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return SimSwapArcFace(depths, squeeze).state_dict()


@pytest.mark.parametrize('depths, squeeze', [((1, 2, 1, 1), False), ((2, 1, 1, 2), True)])
def test_encoder_is_built_from_its_state_dict(depths, squeeze):
    state_dict = state(depths, squeeze)
    network = SimSwapArcFace.from_state_dict(state_dict)
    assert [len(layer) for layer in (network.layer1, network.layer2, network.layer3, network.layer4)] == list(depths)
    assert all(torch.equal(value, state_dict[name]) for name, value in network.state_dict().items()) and not network.training
    with torch.no_grad():
        embeddings = network(torch.randn(2, 3, 112, 112, generator=torch.Generator().manual_seed(1)))
    assert embeddings.shape == (2, 512) and F.cosine_similarity(*embeddings, dim=0) < 0.999


def test_state_dict_of_another_network_raises():
    with pytest.raises(weights.WeightsError, match='convert simswap-arcface'):
        SimSwapArcFace.from_state_dict({'conv1.weight': torch.zeros(3)})


# Weights

@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv('FACE_WEIGHTS_DIR', str(tmp_path))
    return tmp_path


def test_missing_weights_raise_with_the_command(cache):
    with pytest.raises(weights.MissingWeights, match='fetch simswap-224'):
        load_generator('simswap-224')
    with pytest.raises(weights.MissingWeights, match='fetch simswap-arcface'):
        simswap.load_encoder()
    weights.entry('simswap-arcface').path.write_bytes(b'pickle')
    with pytest.raises(weights.MissingWeights, match='convert simswap-arcface --unpickle'):
        simswap.load_encoder()
