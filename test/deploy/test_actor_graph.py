"""The actor stream's graph: it says what torch says, for any number of persons, in floats and in 8 bits."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest

torch = pytest.importorskip("torch", reason="the graph is traced from torch")

from lively import lively  # noqa: E402

from amtnet_ros.deploy.actor_graph import look_at, quantise_actor_graph, trace_actor_graph  # noqa: E402
from amtnet_ros.model.movinet import MoViNet  # noqa: E402

N_MEMORY = 670_944


def moving_pictures(seed, count=12):
    """(T, 172, 172, 3) uint8: smooth colours that drift."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:172, :172] / 172
    waves = rng.uniform(1, 5, (3, 2))
    speed = rng.uniform(-0.3, 0.3, 3)
    return np.stack(
        [
            np.stack(
                [127 + 120 * np.sin(6 * (a * x + b * y) + v * t) for (a, b), v in zip(waves, speed, strict=True)], -1
            )
            for t in range(count)
        ]
    ).astype(np.uint8)


@pytest.fixture(scope="module")
def network():
    return lively(MoViNet(23))


@pytest.fixture(scope="module")
def single(network):
    return trace_actor_graph(network)


@pytest.fixture(scope="module")
def quantised(single):
    return quantise_actor_graph(single, [moving_pictures(seed) for seed in range(4)])


def session_of(model):
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


@torch.no_grad()
def said_by_torch(network, clip):
    """Answers and names of the last second of a clip, by the network that sees all of it at once."""
    pictures = torch.from_numpy(clip).permute(0, 3, 1, 2)[None].float() / 255
    said = network.say(network.features(pictures)[:, -10:].mean(1))
    return said.answers.softmax(-1)[0].numpy(), said.names.softmax(-1)[0].numpy()


def last_of(session, clip):
    *_, (_, found) = look_at(session, clip)
    return found


def test_the_graph_says_what_torch_says_of_the_last_second(network, single):
    for seed in (7, 8):
        clip = moving_pictures(seed)
        found, (answers, names) = last_of(session_of(single), clip), said_by_torch(network, clip)
        np.testing.assert_allclose(found["answers"][0], answers, atol=1e-4)
        np.testing.assert_allclose(found["names"][0], names, atol=1e-4)


@pytest.mark.parametrize("form", ["single", "quantised"])
def test_persons_in_one_batch_do_not_see_each_other(form, request):
    session = session_of(request.getfixturevalue(form))
    clips = np.stack([moving_pictures(seed, 3) for seed in (3, 4, 5)], axis=1)
    memory = np.zeros((3, N_MEMORY), np.uint8 if form == "quantised" else np.float32)
    features = np.zeros((3, 480), np.float32)
    for t, pictures in enumerate(clips):
        count = np.full((3, 1), t, np.float32)
        feed = {"pictures": pictures, "memory": memory, "earlier": features, "count": count}
        answers, _, _, new, memory = session.run(None, feed)
        features = features + new
    for i in range(3):
        np.testing.assert_allclose(answers[i], last_of(session, clips[:, i])["answers"][0], atol=1e-5)


def test_in_8_bits_it_says_much_the_same_and_remembers_a_quarter_as_much(single, quantised):
    exact, rounded = session_of(single), session_of(quantised)
    kinds = {
        tensor.name: tensor.type.tensor_type.elem_type for tensor in (*quantised.graph.input, *quantised.graph.output)
    }
    assert kinds["memory"] == kinds["memory_out"] == onnx.TensorProto.UINT8
    assert kinds["features"] == kinds["answers"] == onnx.TensorProto.FLOAT
    for seed in (7, 8):
        clip = moving_pictures(seed)
        features = [last_of(session, clip)["features"][0] for session in (exact, rounded)]
        assert np.corrcoef(*features)[0, 1] > 0.98
        memories = [last_of(session, clip)["memory_out"][0] for session in (exact, rounded)]
        assert np.abs(memories[0] - memories[1] * np.float32(6 / 255)).mean() < 0.1


def test_nothing_between_the_8_bit_layers_is_turned_round_or_widened(quantised, tmp_path):
    """ONNX Runtime runs the convolutions over time on memory as it lies there."""
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    ort.InferenceSession(quantised.SerializeToString(), options, providers=["CPUExecutionProvider"])
    kinds = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    assert kinds.count("QLinearConv") == 62
    assert kinds.count("QLinearConcat") == 11
    assert "Conv" not in kinds
    assert kinds.count("Transpose") == 1  # of the pictures


def test_weights_keep_their_names(network, single):
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in single.graph.initializer}
    block = network.groups[2][0]
    np.testing.assert_allclose(
        stored["network.groups.2.0.project.weight"], (block.gain * block.project.weight).detach(), atol=1e-6
    )
    np.testing.assert_array_equal(stored["network.stem.weight"], network.stem.weight.detach())
