"""MoViNet-A0-Stream: against NumPy layer by layer, clips against pictures one at a time, and its weights."""

import hashlib

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the network needs torch")

from lively import lively  # noqa: E402

from amtnet_ros.deploy.actor_graph import MEMORY, ActorStream, ready_to_run  # noqa: E402
from amtnet_ros.errors import UserError  # noqa: E402
from amtnet_ros.model.movinet import GROUPS, Block, BlockShape, MoViNet, memory_shapes  # noqa: E402
from amtnet_ros.model.movinet_weights import load_kinetics_weights  # noqa: E402


@pytest.fixture(scope="module")
def network():
    return lively(MoViNet(23))


@pytest.fixture(scope="module")
def clip():
    return torch.rand(2, 6, 3, 172, 172, generator=torch.Generator().manual_seed(1))


# --- an independent computation -------------------------------------------------------------------------------------


def convolve(x, weight, bias, stride, depthwise=False):
    """TensorFlow's SAME, one output place after another: (c, h, w) → (o, ⌈h / stride⌉, ⌈w / stride⌉)."""
    size = weight.shape[-1]
    out_h, out_w = -(-x.shape[1] // stride), -(-x.shape[2] // stride)
    total_h = max((out_h - 1) * stride + size - x.shape[1], 0)
    total_w = max((out_w - 1) * stride + size - x.shape[2], 0)
    before_h, before_w = total_h // 2, total_w // 2
    padded = np.pad(x, ((0, 0), (before_h, total_h - before_h), (before_w, total_w - before_w)))
    out = np.zeros((len(weight), out_h, out_w))
    for i in range(out_h):
        for j in range(out_w):
            window = padded[:, i * stride : i * stride + size, j * stride : j * stride + size]
            products = weight[:, 0] * window if depthwise else weight * window
            out[:, i, j] = products.reshape(len(weight), -1).sum(1) + bias
    return out


def mean_pool(x, stride):
    """3×3 means of what lies in the map, padding not counted."""
    out_h, out_w = -(-x.shape[1] // stride), -(-x.shape[2] // stride)
    before = max((out_h - 1) * stride + 3 - x.shape[1], 0) // 2
    out = np.zeros((len(x), out_h, out_w))
    for i in range(out_h):
        for j in range(out_w):
            top, left = i * stride - before, j * stride - before
            out[:, i, j] = x[:, max(top, 0) : top + 3, max(left, 0) : left + 3].mean((1, 2))
    return out


def relu6(x):
    return np.clip(x, 0, 6)


def block_in_numpy(block, shape, clip):
    """One block over a clip (T, c, h, w)."""
    w = {name: value.detach().double().numpy() for name, value in block.named_parameters()}
    inside = [
        relu6(
            convolve(
                relu6(convolve(x, w["expand.weight"], w["expand.bias"], 1)),
                w["spatial.weight"],
                w["spatial.bias"],
                shape.stride,
                depthwise=True,
            )
        )
        for x in clip
    ]
    out = []
    for t, x in enumerate(clip):
        y = inside[t]
        if shape.temporal > 1:
            taps = w["temporal.weight"]  # oldest first
            y = w["temporal.bias"][:, None, None] + sum(
                taps[-1 - back] * inside[t - back] for back in range(min(shape.temporal, t + 1))
            )
            y = relu6(y)
        branch = convolve(y, w["project.weight"], w["project.bias"], 1)
        kept = x
        if "skip.weight" in w:
            kept = convolve(mean_pool(x, shape.stride), w["skip.weight"], w["skip.bias"], 1)
        out.append(w["gain"] * branch + kept)
    return np.stack(out)


@pytest.mark.parametrize(
    ("inputs", "shape", "side"),
    [
        (8, BlockShape(12, 8, 5, 1, 2), 10),  # 10 → 5: three of padding, one before and two after
        (6, BlockShape(10, 7, 3, 3, 2), 11),  # 11 → 6: one before, one after
        (6, BlockShape(10, 7, 3, 5, 2), 12),  # 12 → 6: none before, one after
        (7, BlockShape(10, 7, 3, 3, 1), 9),
        (7, BlockShape(10, 7, 5, 1, 1), 9),
    ],
)
def test_a_block_computes_what_the_paper_says(inputs, shape, side):
    block = lively(Block(inputs, shape)).double()
    clip = np.random.default_rng(3).normal(0, 1, (7, inputs, side, side))
    with torch.no_grad():
        found = block(torch.from_numpy(clip), clips=1).numpy()
    np.testing.assert_allclose(found, block_in_numpy(block, shape, clip), atol=1e-10)


def test_stem_and_first_group_of_the_whole_network_are_those_of_numpy(network, clip):
    w = {name: value.detach().double().numpy() for name, value in network.stem.named_parameters()}
    picture = clip[0, :1].double().numpy()
    stem = relu6(convolve(picture[0], w["weight"], w["bias"], 2))
    expected = block_in_numpy(network.groups[0][0], GROUPS[0][0], stem[None])
    with torch.no_grad():
        found = network.lower(clip[:1, :1], groups=1).numpy()
    assert expected.shape == (1, 8, 43, 43)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_head_says_hidden_names_and_answers_of_the_mean_feature(network):
    mean = torch.rand(3, 480)
    said = network.say(mean)
    w = {name: value.detach().double().numpy() for name, value in network.named_parameters()}
    hidden = relu6(mean.double().numpy() @ w["hidden.weight"].T + w["hidden.bias"])
    np.testing.assert_allclose(said.hidden.detach(), hidden, atol=1e-4)
    np.testing.assert_allclose(said.names.detach(), hidden @ w["classify.weight"].T + w["classify.bias"], atol=1e-3)
    np.testing.assert_allclose(said.answers.detach(), hidden @ w["answer.weight"].T + w["answer.bias"], atol=1e-3)


# --- a picture at a time --------------------------------------------------------------------------------------------


@torch.no_grad()
def test_pictures_one_at_a_time_give_what_the_clip_gives(network, clip):
    expected = network.features(clip)
    memory, found = network.empty_memory(2), []
    for t in range(clip.shape[1]):
        features, memory = network.step(clip[:, t], memory)
        found.append(features)
    assert expected.std() > 0.01
    torch.testing.assert_close(torch.stack(found, dim=1), expected, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_a_picture_changes_nothing_that_was_seen_before_it(network, clip):
    other = clip.clone()
    other[:, 4] = 1 - other[:, 4]
    before, after = network.features(clip), network.features(other)
    torch.testing.assert_close(before[:, :4], after[:, :4], atol=1e-5, rtol=1e-5)
    assert (before[:, 4] - after[:, 4]).abs().max() > 1e-3


def test_memory_is_one_line_of_numbers_a_person():
    assert len(memory_shapes()) == 11
    assert MEMORY == 670_944
    assert memory_shapes()[0] == (2 * 22, 22, 80)
    assert memory_shapes()[-1] == (4 * 6, 6, 384)


@torch.no_grad()
def test_the_last_second_is_the_mean_of_its_pictures(network, clip):
    stream = ActorStream(ready_to_run(network))
    memory, features = torch.zeros(2, MEMORY), []
    for t in range(clip.shape[1]):
        earlier = torch.stack(features).sum(0) if features else torch.zeros(2, 480)
        look = stream(clip[:, t], memory, earlier, torch.full((2, 1), float(t)))
        memory = look.memory
        features.append(look.features)
    said = network(clip)
    torch.testing.assert_close(look.answers, said.answers.softmax(-1), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(look.names, said.names.softmax(-1), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(look.hidden, said.hidden, atol=1e-4, rtol=1e-3)


@torch.no_grad()
def test_gains_fold_into_the_convolutions_before_them(network, clip):
    ready = ready_to_run(network)
    assert all(block.gain == 1 for group in ready.groups for block in group)
    assert any(block.gain != 1 for group in network.groups for block in group)
    torch.testing.assert_close(ready.features(clip), network.features(clip), atol=1e-4, rtol=1e-4)


def test_branches_are_left_out_of_whole_clips_in_training_only(clip):
    network = lively(MoViNet(23, drop_path=0.5))
    with torch.no_grad():
        torch.testing.assert_close(network.features(clip), network.features(clip))
        network.train()
        torch.manual_seed(0)
        first = network.features(clip)
        assert (first - network.features(clip)).abs().max() > 1e-3


# --- weights --------------------------------------------------------------------------------------------------------


def as_the_file_has_them(network):
    """A network's weights in the layout of the published file."""
    arrays = {}
    for name, value in network.state_dict().items():
        if name.startswith("answer."):
            continue
        name = name.replace("groups.", "block", 1) if name.startswith("groups.") else name
        name = f"head.{name}" if name.split(".")[0] in ("project", "hidden", "classify") else name
        array = value.numpy()
        if name.endswith("weight"):
            if ".temporal." in name:
                array = array[:, :, 0, 0].T[:, None, :, None]
            if array.ndim == 2:
                array = array[:, :, None, None]
            scale = np.abs(array).reshape(len(array), -1).max(1) / 127
            arrays[name.replace("weight", "scale")] = scale.astype(np.float32)
            array = np.round(array / scale.reshape(-1, *[1] * (array.ndim - 1))).astype(np.int8)
        arrays[name] = array
    return arrays


def write(path, arrays):
    """Write a weights file; returns its hash."""
    np.savez(path, **arrays)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@torch.no_grad()
def test_weights_are_integers_times_their_channels_scale(network, clip, tmp_path):
    sha256 = write(tmp_path / "weights.npz", as_the_file_has_them(network))
    read = MoViNet(23).eval()
    load_kinetics_weights(read, tmp_path / "weights.npz", sha256)
    for name, value in read.state_dict().items():
        if not name.startswith("answer."):
            step = network.state_dict()[name].abs().max() / 127 if name.endswith("weight") else 0
            torch.testing.assert_close(value, network.state_dict()[name], atol=float(step) / 2 + 1e-6, rtol=0)


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "weights.npz"
    with pytest.raises(UserError, match=r"weights\.npz.*cannot be read"):
        load_kinetics_weights(MoViNet(23), path)
    path.write_bytes(b"PK something else")
    with pytest.raises(UserError, match=r"weights\.npz: not the file.*SHA-256"):
        load_kinetics_weights(MoViNet(23), path)


@torch.no_grad()
def test_the_published_weights_know_what_a_golfer_does(data_root):
    """Twelve pictures, ten a second, of six clips: the likeliest name is mostly one of the three for golf."""
    from amtnet_ros.media.video import open_source

    teachers = data_root.parent / "teachers"
    if not (teachers / "kinetics600.txt").is_file():
        pytest.skip(f"no published weights in {teachers}")
    network = MoViNet(23).eval()
    load_kinetics_weights(network, teachers / "movinet_a0_stream_weights.npz")
    names = (teachers / "kinetics600.txt").read_text().splitlines()
    clips = sorted((data_root / "jhmdb21" / "videos" / "golf").glob("*.mp4"))[:6]
    said = []
    for path in clips:
        images = list(open_source(str(path)))[::3][:12]
        pictures = np.stack([resized(image) for image in images])
        scores = network(torch.from_numpy(pictures)[None]).names[0]
        said.append(names[int(scores.argmax())])
    assert sum(name.startswith("golf") for name in said) >= 4, said


def resized(image):
    return cv2.resize(image, (172, 172), interpolation=cv2.INTER_AREA).transpose(2, 0, 1).astype(np.float32) / 255
