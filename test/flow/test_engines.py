"""What holds for every engine."""

import cv2
import numpy as np
import pytest
from flow_scenes import brightened, pair, texture

from amtnet_ros.errors import UserError
from amtnet_ros.flow.contract import to_grey
from amtnet_ros.flow.dis import DisFlow
from amtnet_ros.flow.factory import make_flow
from amtnet_ros.flow.onnx_graph import write_flow_graph

ENGINES = ["dis:fast", "dis:medium", "brox:fast", "brox:paper", "onnx"]


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """make_flow, with `onnx` standing for a graph of brox:fast."""
    graphs = {}

    def make_engine(spec, working_size=(320, 240)):
        if spec != "onnx":
            return make_flow(spec, working_size, device="cpu")
        if working_size not in graphs:
            graphs[working_size] = tmp_path_factory.mktemp("graph") / "flow.onnx"
            write_flow_graph("brox:fast", graphs[working_size], working_size)
        return make_flow(f"onnx:{graphs[working_size]}", working_size, device="cpu")

    return make_engine


def error_inside(flow, truth):
    """Mean end-point error in pixels, away from the border, where part of the scene leaves."""
    return np.linalg.norm(flow - truth, axis=-1)[16:-16, 16:-16].mean()


@pytest.mark.parametrize("spec", ENGINES)
def test_translation(make, spec):
    flow = make(spec, (160, 120))(*pair(-3, 2, height=120, width=160))
    assert flow.shape == (120, 160, 2)
    assert flow.dtype == np.float32
    assert error_inside(flow, (-3, 2)) < (0.2 if spec == "dis:fast" else 0.1)


@pytest.mark.parametrize("spec", ["dis:medium", "brox:fast"])
def test_images_of_any_size_give_flow_in_working_pixels(make, spec):
    previous, current = (cv2.resize(i, (640, 360), interpolation=cv2.INTER_CUBIC) for i in pair(-2, 1))
    # 640x360 is shown at 320x240: the motion is in pixels of the latter, as it was before the enlargement.
    assert error_inside(make(spec)(previous, current), (-2, 1)) < 0.1


@pytest.mark.parametrize("spec", ENGINES)
def test_static_scene_gives_zero(make, spec):
    scene = texture()[:120, :160]
    assert np.abs(make(spec, (160, 120))(scene, scene)).max() < 1 / 32  # half a level of the encoding


@pytest.mark.parametrize("spec", ENGINES)
def test_cut_gives_zero(make, spec):
    assert not make(spec, (160, 120))(texture(1)[:120, :160], texture(2)[:120, :160]).any()


@pytest.mark.parametrize("spec", ENGINES)
def test_flash_gives_zero(make, spec):
    previous, current = pair(1, 0, height=120, width=160)
    assert not make(spec, (160, 120))(previous, brightened(current, 60)).any()


@pytest.mark.parametrize("spec", ["brox:fast", "onnx"])
def test_slow_change_of_light_is_no_motion(make, spec):
    previous, current = pair(2, 0, height=120, width=160)
    previous, current = previous // 2 + 40, brightened(current // 2 + 40, 10)
    assert error_inside(make(spec, (160, 120))(previous, current), (2, 0)) < 0.1


@pytest.mark.parametrize("spec", ENGINES)
def test_batch_equals_single_calls(make, spec):
    pairs = [pair(1, 0, 0, 96, 128), pair(0, -2, 1, 96, 128), pair(0, 0, 2, 96, 128)]
    cut = (texture(3)[:96, :128], texture(4)[:96, :128])
    previous, current = (np.stack(images) for images in zip(*pairs, cut, strict=True))
    engine = make(spec, (128, 96))
    singly = np.stack([engine(a, b) for a, b in zip(previous, current, strict=True)])
    assert np.allclose(engine.batch(previous, current), singly, atol=1e-3)
    assert not singly[3].any()


def test_dis_is_opencvs():
    previous, current = pair(3, 1)
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (previous, current)]
    assert np.array_equal(DisFlow("medium")(previous, current), dis.calc(*grey, None))


def test_grey_is_that_of_rgb_order():
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 255
    assert (to_grey(red, (4, 4)) == 76).all()  # 0.299 * 255


@pytest.mark.parametrize(
    ("previous", "current", "message"),
    [
        (np.zeros((8, 8, 3), np.uint8), np.zeros((8, 9, 3), np.uint8), "differ in size"),
        (np.full((8, 8, 3), np.nan, np.float32), np.zeros((8, 8, 3), np.float32), "float32; give 8-bit RGB"),
        (np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8), r"shape \(8, 8\)"),
        (np.zeros((0, 8, 3), np.uint8), np.zeros((0, 8, 3), np.uint8), "shape"),
        (None, np.zeros((8, 8, 3), np.uint8), "NoneType"),
    ],
)
@pytest.mark.parametrize("spec", ["dis", "brox", "onnx"])
def test_unfit_images_are_refused_in_one_line(make, spec, previous, current, message):
    with pytest.raises(UserError, match=message) as error:
        make(spec, (128, 96))(previous, current)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("spec", ["", "farneback", "dis:slow", "brox:slow", "raft:huge", "onnx"])
def test_unknown_engine(spec):
    with pytest.raises(UserError, match="unknown"):
        make_flow(spec)


@pytest.mark.parametrize("size", [(0, 0), (320, 8), (100000, 240)])
def test_senseless_working_size(size):
    with pytest.raises(UserError, match="working size"):
        make_flow("dis", size)


def test_a_large_image_is_reduced_first():
    previous, current = (cv2.resize(i, (3840, 2160), interpolation=cv2.INTER_LINEAR) for i in pair(2, 0))
    assert error_inside(make_flow("dis:fast")(previous, current), (2, 0)) < 0.2


@pytest.mark.parametrize("spec", ["brox", "raft"])
def test_torch_missing_is_said(monkeypatch, spec):
    monkeypatch.setattr("amtnet_ros.flow.factory.find_spec", lambda name: None)
    with pytest.raises(UserError, match="needs torch: pip install torch; dis and onnx do without"):
        make_flow(spec)


@pytest.mark.parametrize("device", ["cuda:99", "quantum", "mps"])
def test_a_device_that_is_not_there_is_refused(device):
    with pytest.raises(UserError, match=device):
        make_flow("brox", device=device)


def test_raft_weights_missing_is_said(tmp_path):
    with pytest.raises(UserError, match=r"no weights for raft:small .* give raft:small:FILE"):
        make_flow(f"raft:small:{tmp_path / 'none.pth'}")
    (tmp_path / "other.pth").write_bytes(b"no weights at all")
    with pytest.raises(UserError, match="does not hold the weights"):
        make_flow(f"raft:small:{tmp_path / 'other.pth'}")


def test_raft_is_torchvisions(tmp_path):
    torch = pytest.importorskip("torch", reason="raft needs torch")
    optical_flow = pytest.importorskip("torchvision.models.optical_flow", reason="raft needs torchvision")
    torch.manual_seed(0)
    network = optical_flow.raft_small(weights=None).eval()
    torch.save(network.state_dict(), tmp_path / "raft.pth")
    previous, current = pair(2, -1, height=128, width=136)
    images = [torch.from_numpy(i).permute(2, 0, 1)[None] / 127.5 - 1 for i in (previous, current)]
    with torch.inference_mode():
        expected = network(*images)[-1][0].permute(1, 2, 0).numpy()
    engine = make_flow(f"raft:small:{tmp_path / 'raft.pth'}", (136, 128), device="cpu")
    assert np.allclose(engine(previous, current), expected, atol=1e-4)
    # A size that is no multiple of 8 is padded, and the flow cut back.
    odd = make_flow(f"raft:small:{tmp_path / 'raft.pth'}", (131, 129), device="cpu")
    assert odd(previous, current).shape == (129, 131, 2)


@pytest.mark.parametrize("content", [None, b"no graph"])
def test_onnx_file_missing_or_broken_is_said(tmp_path, content):
    file = tmp_path / "flow.onnx"
    if content:
        file.write_bytes(content)
    with pytest.raises(UserError, match=r"there is no file|cannot be loaded") as error:
        make_flow(f"onnx:{file}")
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


def test_onnx_graph_of_another_size_is_refused(tmp_path):
    write_flow_graph("brox", tmp_path / "flow.onnx", (64, 48))
    with pytest.raises(UserError, match="computes at 64x48, not at 320x240"):
        make_flow(f"onnx:{tmp_path / 'flow.onnx'}")
