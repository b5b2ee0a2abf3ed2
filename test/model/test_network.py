"""The split form against the paper's form, fusion, and the trunks against other implementations."""

import pytest

torch = pytest.importorskip("torch", reason="the network needs torch")

from torch import nn  # noqa: E402

from amtnet_ros.errors import UserError  # noqa: E402
from amtnet_ros.model.amtnet import AMTnet  # noqa: E402
from amtnet_ros.model.heads import PairHead  # noqa: E402
from amtnet_ros.model.streams import NetworkOptions  # noqa: E402
from amtnet_ros.model.trunk import widen_first_layer  # noqa: E402
from amtnet_ros.model.vgg16 import L2Norm  # noqa: E402

SIZE = 160


def frames(seed: int, count: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    rgb = torch.randint(0, 256, (count, 3, SIZE, SIZE), generator=generator).float()
    return rgb, torch.randint(0, 256, (count, 15, SIZE, SIZE), generator=generator).float()


def test_the_split_head_is_the_convolution_over_the_concatenated_pair():
    torch.manual_seed(0)
    head = PairHead(16, priors=4, outputs=5).double()
    nn.init.normal_(head.second.bias)
    conv = nn.Conv2d(32, 20, 3, padding=1).double()
    with torch.no_grad():
        conv.weight.copy_(torch.cat([head.first.weight, head.second.weight], dim=1))
        conv.bias.copy_(head.second.bias)
        a, b = torch.randn(2, 1, 16, 7, 7, dtype=torch.float64)
        split = head.share(a, "first") + head.share(b, "second")
        whole = conv(torch.cat([a, b], dim=1)).permute(0, 2, 3, 1).reshape(1, 7 * 7 * 4, 5)
    torch.testing.assert_close(split, whole, atol=1e-12, rtol=0)


@pytest.mark.parametrize("fusion", ["sum", "mean", "concat"])
def test_frames_encoded_once_give_what_the_paired_pass_gives(fusion):
    torch.manual_seed(1)
    network = AMTnet(NetworkOptions(3, fusion=fusion, image_size=SIZE)).eval()
    with torch.no_grad():
        (rgb0, flow0), (rgb1, flow1) = frames(0), frames(1)
        cached = network.encode(rgb0, flow0)[0] + network.encode(rgb1, flow1)[1]
        paired = network.heads.paired(network.features(rgb0, flow0), network.features(rgb1, flow1))
        logits, offsets = network(torch.stack([rgb0, rgb1], 1), torch.stack([flow0, flow1], 1))
        single = network(rgb0[:, None], flow0[:, None])
        itself = network.heads.paired(network.features(rgb0, flow0), network.features(rgb0, flow0))
    torch.testing.assert_close(cached, paired, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(torch.cat([logits, offsets], -1), paired, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(torch.cat(single, -1), itself, atol=1e-4, rtol=1e-4)


def test_fusion_by_mean_is_half_of_that_by_sum_and_concatenation_keeps_both():
    networks = {
        fusion: AMTnet(NetworkOptions(3, fusion=fusion, image_size=SIZE)).eval() for fusion in ("sum", "mean", "concat")
    }
    for network in networks.values():
        network.trunks.load_state_dict(networks["sum"].trunks.state_dict())
    with torch.no_grad():
        maps = {fusion: network.features(*frames(2)) for fusion, network in networks.items()}
    for total, mean, both in zip(maps["sum"], maps["mean"], maps["concat"], strict=True):
        torch.testing.assert_close(mean * 2, total)
        appearance, motion = both.chunk(2, dim=1)
        torch.testing.assert_close(appearance + motion, total)


@pytest.mark.parametrize("stride", [2, 3])
def test_motion_of_a_stride_is_what_the_trunk_sees_in_means_of_so_many_pixels(stride):
    torch.manual_seed(4)
    side = 64
    strided = AMTnet(NetworkOptions(3, streams=("flow",), image_size=side * stride, motion_stride=stride)).eval()
    flow = torch.randint(0, 256, (1, 15, side * stride, side * stride)).float()
    smaller = flow.view(1, 15, side, stride, side, stride).mean((3, 5))
    with torch.no_grad():
        seen = strided.trunk("flow")((smaller - 127) / 128)
        for found, expected, n in zip(strided.features(None, flow), seen, strided.cells, strict=True):
            # Each cell of the smaller map stands for those that lie in its place.
            place = (torch.arange(n) * expected.shape[-1]) // n
            torch.testing.assert_close(found, expected[..., place, :][..., place], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("fusion", "gain"), [("sum", 2), ("mean", 1), ("concat", 2)])
@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_a_two_stream_network_fed_one_stream_answers_by_it_alone(stream, fusion, gain):
    torch.manual_seed(5)
    network = AMTnet(NetworkOptions(3, fusion=fusion, image_size=SIZE)).eval()
    alone = AMTnet(NetworkOptions(3, streams=(stream,), image_size=SIZE)).eval()
    alone.trunks[stream].load_state_dict(network.trunks[stream].state_dict())
    rgb, flow = frames(3)
    fed = (rgb, None) if stream == "rgb" else (None, flow)
    with torch.no_grad():
        for own, found in zip(alone.features(*fed), network.features(*fed), strict=True):
            if fusion == "concat":
                appearance, motion = found.chunk(2, dim=1)
                found, others = (appearance, motion) if stream == "rgb" else (motion, appearance)
                assert not others.any()
            torch.testing.assert_close(found, gain * own)


def test_a_widened_first_layer_answers_a_stack_of_equal_images_as_the_narrow_one_a_single_image():
    torch.manual_seed(0)
    weight, image = torch.randn(8, 3, 3, 3, dtype=torch.float64), torch.randn(1, 3, 20, 20, dtype=torch.float64)
    wide = torch.nn.functional.conv2d(image.repeat(1, 5, 1, 1), widen_first_layer(weight, 15))
    torch.testing.assert_close(wide, torch.nn.functional.conv2d(image, weight), atol=1e-12, rtol=0)


def test_l2_norm_survives_half_precision():
    x = torch.full(
        (1, 512, 2, 2), 100.0, dtype=torch.float16
    )  # the sum of squares is 5.12 million: infinity in float16
    normalised = L2Norm(512).half()(x)
    torch.testing.assert_close(normalised.float(), torch.full((1, 512, 2, 2), 20 / 512**0.5), atol=1e-2, rtol=0)


def test_efficientnet_lite_with_imagenet_weights_equals_the_package_they_come_from():
    reference_package = pytest.importorskip(
        "efficientnet_lite_pytorch", reason="compares with efficientnet_lite_pytorch"
    )
    from amtnet_ros.model.efficientnet_lite import EfficientNetLite, imagenet_file

    trunk = EfficientNetLite(3)
    trunk.load_initial_weights("imagenet")
    reference = reference_package.EfficientNet.from_name("efficientnet-lite0")
    reference.load_state_dict(torch.load(imagenet_file(), weights_only=True))
    seen: list[torch.Tensor] = []
    trunk.lateral[2].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    image = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        trunk.eval()(image)
        expected = reference.eval().extract_features(image)
    torch.testing.assert_close(seen[0], expected, atol=1e-4, rtol=1e-4)


def test_vgg16_trunk_equals_torchvisions_layers_up_to_conv5_3():
    torchvision = pytest.importorskip("torchvision", reason="compares with torchvision's VGG-16")
    network = AMTnet(NetworkOptions(2, trunk="vgg16", streams=("rgb",)))
    reference = torchvision.models.vgg16(weights=None).features
    base = network.trunk("rgb").base
    base.load_state_dict({name: value for name, value in reference.state_dict().items() if name in base.state_dict()})
    reference[16].ceil_mode = True  # SSD's pool3
    image = torch.randn(1, 3, 100, 100, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(base(image), reference[:30](image))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"trunk": "resnet"}, "unknown trunk 'resnet'"),
        ({"fusion": "max"}, "unknown fusion 'max'"),
        ({"streams": ("flow", "rgb")}, "streams must be"),
        ({"motion_stride": 3, "image_size": 224}, "image_size 224 is no multiple of motion_stride 3"),
    ],
)
def test_an_impossible_network_is_refused_by_name(options, words):
    with pytest.raises(UserError, match=words):
        NetworkOptions(2, **options)


def test_a_picture_too_small_for_a_trunk_is_refused():
    with torch.device("meta"), pytest.raises(UserError, match="vgg16: flow images of 150x150 pixels are too small"):
        AMTnet(NetworkOptions(2, "vgg16", motion_stride=2))
