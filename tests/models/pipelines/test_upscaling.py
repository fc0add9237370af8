"""Super-resolution of generated faces."""
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from models.pipelines.photo import FaceSwapper
from models.pipelines.upscaling import Upscaler
from tests.models.stubs import FixedDetector, FunctionFamily, OvalParser, face_at, perception, photo


@pytest.fixture
def network(tmp_path):
    """An ONNX file that doubles an image by repeating its pixels."""
    scales = helper.make_tensor('scales', TensorProto.FLOAT, [4], [1, 1, 2, 2])
    node = helper.make_node('Resize', ['x', '', 'scales'], ['y'], mode='nearest', nearest_mode='floor',
                            coordinate_transformation_mode='asymmetric')
    graph = helper.make_graph([node], 'twice', [helper.make_tensor_value_info('x', TensorProto.FLOAT, [1, 3, 'h', 'w'])],
                              [helper.make_tensor_value_info('y', TensorProto.FLOAT, [1, 3, 'H', 'W'])], [scales])
    path = tmp_path / 'twice.onnx'
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8), path)
    return path


def test_upscaler_keeps_the_value_range(network):
    image = torch.rand(3, 6, 8) * 2 - 1
    torch.testing.assert_close(Upscaler(network)(image), image.repeat_interleave(2, 1).repeat_interleave(2, 2),
                               rtol=0, atol=1e-6)


def test_generated_faces_are_upscaled_before_pasting(network):
    target, face = photo(200, 220), face_at(110, 100, 40)
    shapes = []

    def upscale(crop):
        shapes.append(tuple(crop.shape))
        return Upscaler(network)(crop) * 0 - 1  # black

    swapper = FaceSwapper(FunctionFamily(lambda batch: batch.target, 32), perception(OvalParser()),
                          FixedDetector({(200, 220): [face]}), upscale=upscale)
    result = swapper.swap(target, target)
    assert shapes == [(3, 32, 32)]
    assert result.image[100, 110].max() < 30 < target[100, 110].max()
    np.testing.assert_array_equal(result.image[:20], target[:20])


def test_unsuitable_networks_and_images_raise(tmp_path, network):
    broken = tmp_path / 'broken.onnx'
    broken.write_bytes(b'no network')
    with pytest.raises(ValueError, match='cannot be used for upscaling'):
        Upscaler(broken)
    with pytest.raises(ValueError, match='does not upscale'):
        Upscaler(network)(torch.zeros(1, 6, 8))
