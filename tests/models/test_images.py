"""Value ranges and uint8 conversion."""
import numpy as np
import pytest
import torch

from models.images import IMAGENET_MEAN, IMAGENET_STD, from_signed, to_signed, to_tensor, to_uint8


def test_uint8_round_trip_is_exact():
    image = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, 2)
    tensor = to_tensor(image)
    assert tensor.shape == (3, 16, 16) and (tensor.min(), tensor.max()) == (-1, 1)
    assert np.array_equal(to_uint8(tensor), image)
    assert np.array_equal(to_uint8(to_tensor(image[None])), image[None])


def test_to_uint8_clips():
    assert to_uint8(torch.tensor([-2.0, 2.0, 0.0])[:, None, None]).tolist() == [[[0, 255, 128]]]


@pytest.mark.parametrize('value_range', ['signed', 'unit', 'imagenet'])
def test_range_conversions_are_inverse(value_range):
    image = torch.rand(2, 3, 4, 4) * 2 - 1
    torch.testing.assert_close(to_signed(from_signed(image, value_range), value_range), image)


def test_imagenet_range_of_white():
    expected = (1 - torch.tensor(IMAGENET_MEAN)) / torch.tensor(IMAGENET_STD)
    torch.testing.assert_close(from_signed(torch.ones(1, 3, 1, 1), 'imagenet').flatten(), expected)
