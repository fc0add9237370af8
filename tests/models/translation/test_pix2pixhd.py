"""Faces from label maps: layouts, features of labels, clusters, and the local enhancer."""
import numpy as np
import pytest
import torch

from datasets.preparation.feature_clusters import cluster_features, label_features, read_centers
from experiments.training.state.checkpoint import save_family
from models.batch import SwapBatch
from models.translation.pix2pixhd.family import Pix2PixHD, Pix2PixHDConfig
from models.translation.pix2pixhd.networks import FeatureEncoder, spread
from scripts import encode_features
from tests.contract.stubs import tiny_perception
from tests.models.translation.batches import has_gradient

TINY = {'size': 32, 'width': 4, 'downs': 1, 'blocks': 1, 'feature_width': 4, 'discriminator_width': 4, 'discriminator_layers': 1}


def family(**options) -> Pix2PixHD:
    torch.manual_seed(0)
    return Pix2PixHD(Pix2PixHDConfig(**{**TINY, **options}), tiny_perception())


def batch(size: int = 32) -> SwapBatch:
    torch.manual_seed(1)
    labels = torch.zeros(2, size, size, dtype=torch.int64)
    labels[:, 8:24, 8:24] = 1
    source, target = torch.rand(2, 2, 3, size, size) * 2 - 1
    return SwapBatch(source, target, torch.ones(2, dtype=torch.bool), labels)


def test_edges_are_where_a_neighbor_has_another_label():
    layout = family().layout(batch().target_parsing)
    assert torch.equal(layout[:, :19].argmax(1), batch().target_parsing)
    edges = layout[0, 19]
    assert edges[8, 8:24].all() and edges[7, 8:24].all() and not edges[7, 7] and not edges[12, 12] and not edges[0, 0]


def test_each_pixel_has_the_mean_feature_of_its_label():
    torch.manual_seed(0)
    encoder, image, labels = FeatureEncoder(3, 4, 1), torch.rand(2, 3, 32, 32), batch().target_parsing
    means, share = encoder(image, labels, 19)
    raw, per_pixel = encoder.model(image), spread(means, labels)
    torch.testing.assert_close(per_pixel[1, :, 12, 12], raw[1, :, 8:24, 8:24].mean((1, 2)), atol=1e-5, rtol=1e-5)
    assert torch.equal(per_pixel[:, :, 9, 9], per_pixel[:, :, 20, 20])
    torch.testing.assert_close(share[0, :3], torch.tensor([0.75, 0.25, 0.0]))


def test_features_of_the_source_change_the_image():
    model, inputs = family().eval(), batch()
    other = SwapBatch(inputs.source.flip(0), inputs.target, inputs.same, inputs.target_parsing)
    assert not torch.allclose(model.generate(inputs), model.generate(other), atol=1e-6)
    plain = family(features=0).eval()
    assert torch.equal(plain.generate(inputs), plain.generate(other))


def test_the_encoder_has_a_gradient():
    model = family()
    sum(model('generator', batch(), 0, {}).values()).backward()
    assert has_gradient(model.encoder) and has_gradient(model.generator)


def test_the_global_generator_is_fixed_in_the_first_steps():
    model = family(enhancer=True, local_blocks=1, fixed_global=2)
    for step, trains in ((1, False), (2, True)):
        model.zero_grad()
        sum(model('generator', batch(), step, {}).values()).backward()
        assert has_gradient(model.generator.model1_2) and has_gradient(model.generator.model) is trains


def test_feature_matching_of_the_target_itself_is_0():
    model, inputs = family(), batch()
    model.fake = lambda *unused: inputs.target.clone().requires_grad_()
    assert model.generator_losses(inputs, inputs.target_parsing, 0, {})['matching'] < 1e-6


def test_clusters_of_features():
    rows = np.repeat([[0.0], [1.0]], [20, 10], axis=0) + np.random.default_rng(0).normal(0, 0.01, (30, 3))
    centers = cluster_features({1: rows, 5: rows[:1], 7: rows[:3]}, 2)
    assert sorted(np.abs(centers[1].round()).tolist()) == [[0, 0, 0], [1, 1, 1]]
    assert centers[5].shape == (1, 3) and len(centers[7]) <= 2
    features = label_features(family().eval(), [batch()])
    assert set(features) == {0, 1} and features[1].shape == (2, 3)


def test_samples_use_one_cluster_per_label():
    model, labels = family().eval(), batch().target_parsing
    centers = {0: torch.zeros(1, 3), 1: torch.tensor([[-1.0] * 3, [1.0] * 3])}
    samples = [model.sample(labels[:1], centers, generator=torch.Generator().manual_seed(seed)) for seed in range(8)]
    distinct = {tuple(image.flatten()[::97].tolist()) for image in samples}
    assert len(distinct) == 2 and samples[0].shape == (1, 3, 32, 32)
    with pytest.raises(ValueError, match='model.features'):
        family(features=0).sample(labels, centers)


def test_the_script_encodes_and_renders_features(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(encode_features, 'build_perception', tiny_perception)
    model = family()
    save_family(tmp_path / 'family.safetensors', 'pix2pixhd', model.state_dict(), model.config)
    arguments = ['--weights', str(tmp_path / 'family.safetensors'), '--limit', '8', '--clusters', '2']
    assert encode_features.main([*arguments, '-o', str(tmp_path / 'features.npz')]) == 0
    centers = read_centers(tmp_path / 'features.npz')
    assert 1 in centers and all(values.shape[1] == 3 and len(values) <= 2 for values in centers.values())
    render_arguments = [*arguments, '--features', str(tmp_path / 'features.npz'), '-o', str(tmp_path / 'sheet.png')]
    assert encode_features.main(render_arguments) == 0 and (tmp_path / 'sheet.png').stat().st_size > 1000
    invalid_arguments = [*arguments, '--features', str(tmp_path / 'family.safetensors'), '-o', str(tmp_path / 'x.png')]
    assert encode_features.main(invalid_arguments) == 2
    assert 'encode_features.py' in capsys.readouterr().err


@pytest.mark.parametrize('size', [4, 34])
def test_an_incompatible_size_raises(size):
    with pytest.raises(ValueError, match='multiple of 4 from 8 on'):
        family(enhancer=True, size=size)
