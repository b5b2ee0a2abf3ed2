"""Where weights start: VGG-16 as torchvision lays it out, ImageNet for the light trunk, earlier runs."""

import json
from dataclasses import asdict

import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402
from torchvision.models.vgg import cfgs, make_layers, vgg16  # noqa: E402

from amtnet_ros.errors import UserError  # noqa: E402
from amtnet_ros.model.amtnet import AMTnet  # noqa: E402
from amtnet_ros.model.checkpoint import save_checkpoint  # noqa: E402
from amtnet_ros.model.streams import NetworkOptions  # noqa: E402
from amtnet_ros.model.vgg16 import CONV4_3_END, Vgg16Ssd  # noqa: E402
from amtnet_ros.training.config import Experiment, InitialConfig, LossConfig  # noqa: E402
from amtnet_ros.training.initial import earlier_runs, initialise  # noqa: E402


@pytest.fixture(scope="module")
def features():
    """torchvision's VGG-16 without its classifier, random weights."""
    torch.manual_seed(0)
    return make_layers(cfgs["D"]).eval()


@pytest.fixture(scope="module")
def vgg_file(features, tmp_path_factory):
    """A state dict as torchvision saves it; fc6 and fc7 tell each weight's row, and take no space."""
    state = {f"features.{name}": value for name, value in features.state_dict().items()}
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in vgg16().state_dict().items()}
    for name in ("classifier.0", "classifier.3"):
        rows = shapes[f"{name}.weight"]
        state[f"{name}.weight"] = torch.arange(float(rows[0]))[:, None].expand(rows)
        state[f"{name}.bias"] = torch.arange(float(rows[0])) + 0.5
    assert all(state[name].shape == shapes[name] for name in state)
    path = tmp_path_factory.mktemp("vgg") / "vgg16.pth"
    torch.save(state, path)
    return path


@torch.no_grad()
def test_vgg_computes_what_torchvisions_computes(features, vgg_file):
    trunk = Vgg16Ssd(3)
    trunk.load_initial_weights(str(vgg_file))
    image = torch.randn(1, 3, 64, 64)
    to_conv4_3 = nn.Sequential(*list(features)[:23])
    assert torch.allclose(trunk.base[:CONV4_3_END](image), to_conv4_3(image), atol=1e-5)
    to_conv5_3 = nn.Sequential(*list(features)[:30])
    assert torch.allclose(trunk.base(image), to_conv5_3(image), atol=1e-5)


def test_conv6_and_conv7_are_decimated_fully_connected_layers(vgg_file):
    trunk = Vgg16Ssd(3)
    trunk.load_initial_weights(str(vgg_file))
    every_fourth = torch.arange(0, 4096, 4).float()
    assert trunk.conv6.weight.shape == (1024, 512, 3, 3)
    assert torch.equal(trunk.conv6.weight[:, 0, 0, 0], every_fourth)
    assert torch.equal(trunk.conv7.weight[:, 5, 0, 0], every_fourth)
    assert torch.equal(trunk.conv6.bias, every_fourth + 0.5)
    # Columns: fc6 sees conv5_3's 512 channels of 7x7 cells; every third row and column stays.
    columns = torch.arange(25088.0).expand(4096, 25088)
    state = {**torch.load(vgg_file, weights_only=True), "classifier.0.weight": columns}
    trunk._load_fully_connected(state)
    assert trunk.conv6.weight[0, 2].tolist() == [[2 * 49 + 7 * y + x for x in (0, 3, 6)] for y in (0, 3, 6)]


@pytest.mark.parametrize("trunk", ["vgg16", "efficientnet_lite0"])
@torch.no_grad()
def test_a_stack_of_five_equal_pictures_gets_the_response_of_one(trunk, vgg_file):
    source = str(vgg_file) if trunk == "vgg16" else "imagenet"
    one, five = (AMTnet(NetworkOptions(3, trunk, (stream,))) for stream in ("rgb", "flow"))
    initialise(one, InitialConfig(rgb=source))
    initialise(five, InitialConfig(flow=source))
    first = [next(m for m in n.modules() if isinstance(m, nn.Conv2d)) for n in (one, five)]
    assert [conv.in_channels for conv in first] == [3, 15]
    image = torch.randn(1, 3, 64, 64)
    expected, found = first[0](image), first[1](image.repeat(1, 5, 1, 1))
    assert torch.allclose(found, expected, atol=1e-5 * expected.abs().max().item())
    # Each of the five counts for a fifth.
    alone = first[1](F.pad(image, (0, 0, 0, 0, 6, 6))) - first[1](torch.zeros(1, 15, 64, 64))
    whole = expected - first[0](torch.zeros(1, 3, 64, 64))
    assert torch.allclose(5 * alone, whole, atol=1e-4 * whole.abs().max().item())


def test_the_papers_network_takes_both_streams_from_one_file(vgg_file):
    network = AMTnet(NetworkOptions(21, "vgg16"))
    assert network.priors.shape == (8732, 4)
    initialise(network, InitialConfig(rgb=str(vgg_file), flow=str(vgg_file)))
    weights = network.state_dict()
    assert torch.equal(weights["trunks.rgb.base.2.weight"], weights["trunks.flow.base.2.weight"])


def test_a_fused_network_starts_from_one_stream_networks(tmp_path):
    torch.manual_seed(1)
    singles = {stream: AMTnet(NetworkOptions(3, streams=(stream,))) for stream in ("rgb", "flow")}
    for stream, single in singles.items():
        save_checkpoint(tmp_path / f"{stream}.pt", {"network": single.state_dict(), "average": None})
    fused = AMTnet(NetworkOptions(3))
    paths = {stream: str(tmp_path / f"{stream}.pt") for stream in singles}
    initialise(fused, InitialConfig(**paths, heads=paths["flow"]))
    weights = fused.state_dict()
    for stream, single in singles.items():
        for name, value in single.state_dict().items():
            if name.startswith("trunks.") or stream == "flow":
                assert torch.equal(weights[name], value), name


@pytest.mark.parametrize("fusion", ["none", "sum", "mean", "concat"])
@torch.no_grad()
def test_joined_heads_give_the_mean_of_what_each_stream_gives_alone(fusion, tmp_path):
    """The appearance network is a one-stream or a fused one, which is then fed appearance alone."""
    torch.manual_seed(2)
    streams = ("rgb",) if fusion == "none" else ("rgb", "flow")
    options = {
        "rgb": NetworkOptions(3, streams=streams, fusion="sum" if fusion == "none" else fusion, image_size=128),
        "flow": NetworkOptions(3, streams=("flow",), image_size=128),
    }
    alone = {stream: AMTnet(option).eval() for stream, option in options.items()}
    for stream, network in alone.items():
        for heads in (*network.heads.classify, *network.heads.regress):
            heads.second.bias.uniform_(-1, 1)
        content = {"network": network.state_dict(), "average": None, "options": asdict(options[stream])}
        save_checkpoint(tmp_path / f"{stream}.pt", content)
    joined = AMTnet(NetworkOptions(3, fusion="concat", image_size=128)).eval()
    initialise(joined, InitialConfig(rgb=str(tmp_path / "rgb.pt"), flow=str(tmp_path / "flow.pt"), heads="joined"))
    rgb, flow = torch.rand(1, 2, 3, 128, 128) * 255, torch.rand(1, 2, 15, 128, 128) * 255
    answers = zip(joined(rgb, flow), alone["rgb"](rgb, None), alone["flow"](None, flow), strict=True)
    for together, appearance, motion in answers:
        assert torch.allclose(together, (appearance + motion) / 2, atol=1e-5)


@pytest.mark.parametrize("fusion", ["sum", "mean"])
@torch.no_grad()
def test_joined_heads_over_one_map_give_the_mean_where_both_streams_have_the_same_heads(fusion, tmp_path):
    torch.manual_seed(3)
    networks = {
        stream: AMTnet(NetworkOptions(3, streams=(stream,), image_size=128)).eval() for stream in ("rgb", "flow")
    }
    for heads in (*networks["rgb"].heads.classify, *networks["rgb"].heads.regress):
        heads.second.bias.uniform_(-1, 1)
    networks["flow"].heads.load_state_dict(networks["rgb"].heads.state_dict())
    for stream, network in networks.items():
        content = {"network": network.state_dict(), "average": None, "options": asdict(network.options)}
        save_checkpoint(tmp_path / f"{stream}.pt", content)
    joined = AMTnet(NetworkOptions(3, fusion=fusion, image_size=128)).eval()
    initialise(joined, InitialConfig(rgb=str(tmp_path / "rgb.pt"), flow=str(tmp_path / "flow.pt"), heads="joined"))
    rgb, flow = torch.rand(1, 2, 3, 128, 128) * 255, torch.rand(1, 2, 15, 128, 128) * 255
    answers = zip(joined(rgb, flow), networks["rgb"](rgb, None), networks["flow"](None, flow), strict=True)
    for together, appearance, motion in answers:
        assert torch.allclose(together, (appearance + motion) / 2, atol=1e-5)


def test_averaged_weights_are_preferred(tmp_path):
    network = AMTnet(NetworkOptions(3, streams=("rgb",)))
    average = {name: torch.ones_like(value) for name, value in network.state_dict().items()}
    save_checkpoint(tmp_path / "a.pt", {"network": network.state_dict(), "average": average})
    initialise(network, InitialConfig(rgb=str(tmp_path / "a.pt")))
    assert (network.state_dict()["trunks.rgb._conv_stem.weight"] == 1).all()
    assert not (network.state_dict()["heads.classify.0.first.weight"] == 1).all()


def test_the_runs_that_weights_come_from_are_known_to_the_first(tmp_path):
    def run(name, earlier=()):
        content = {"experiment": json.dumps({"name": name}), "step": len(name), "earlier": json.dumps(earlier)}
        save_checkpoint(tmp_path / f"{name}.pt", content)
        return {"experiment": {"name": name}, "iterations": len(name)}

    first = run("first")
    rgb, flow = run("rgb", [first]), run("flow", [first])
    config = InitialConfig(**{stream: str(tmp_path / f"{stream}.pt") for stream in ("rgb", "flow")})
    teacher = run("teacher")
    loss = LossConfig(teacher=str(tmp_path / "teacher.pt"))
    assert earlier_runs(Experiment(name="a", initial=config, loss=loss)) == [first, rgb, flow, teacher]
    assert earlier_runs(Experiment(name="a")) == []


def test_sources_that_are_missing_or_do_not_fit_are_named(tmp_path, vgg_file):
    light, heavy = AMTnet(NetworkOptions(3, streams=("rgb",))), AMTnet(NetworkOptions(3, "vgg16", ("rgb",)))
    save_checkpoint(
        tmp_path / "flow.pt", {"network": AMTnet(NetworkOptions(3, streams=("flow",))).state_dict(), "average": None}
    )
    save_checkpoint(
        tmp_path / "five.pt", {"network": AMTnet(NetworkOptions(5, streams=("rgb",))).state_dict(), "average": None}
    )
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    for network, config, message in (
        (light, {"rgb": str(tmp_path / "none.pth")}, r"no such weight file: .*none\.pth"),
        (light, {"rgb": str(tmp_path / "none.pt")}, r"no such checkpoint: .*none\.pt"),
        (light, {"rgb": str(tmp_path / "flow.pt")}, r"flow\.pt: the network trained there has no trunks\.rgb"),
        (
            light,
            {"rgb": None, "heads": str(tmp_path / "five.pt")},
            r"five\.pt: does not fit this network: size mismatch",
        ),
        (light, {"rgb": str(tmp_path / "other.pth")}, r"not a state dict of EfficientNet-Lite"),
        (heavy, {"rgb": str(tmp_path / "other.pth")}, r"not VGG-16 weights"),
    ):
        with pytest.raises(UserError, match=message):
            initialise(network, InitialConfig(**config))


def test_a_model_is_found_by_its_name_from_any_folder(tmp_path, monkeypatch) -> None:
    from amtnet_ros.training.config import is_trained

    monkeypatch.chdir(tmp_path)
    assert is_trained("light")
    assert not is_trained("models/light")
