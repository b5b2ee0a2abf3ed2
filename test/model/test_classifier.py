"""The classifier of close-ups: its answer against the one put together by hand from the same maps."""

import pytest

torch = pytest.importorskip("torch", reason="the network needs torch")

from amtnet_ros.model.amtnet import ActorClassifier  # noqa: E402
from amtnet_ros.model.streams import NetworkOptions  # noqa: E402

SIZE = 96


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return ActorClassifier(NetworkOptions(5, image_size=SIZE)).eval()


def pictures(n=2, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(0, 256, (3, n, channels, SIZE, SIZE), generator=generator).float() for channels in (3, 15)]


@torch.no_grad()
def test_the_answer_is_linear_in_the_means_of_the_maps_of_strides_16_and_32(network):
    rgb, flow = pictures(n=1)
    looks = []
    for stream, x in (("rgb", rgb), ("flow", flow)):
        images = (x[:, 0] - 127) / 128
        looks.append(network.trunk(stream)(images))
    means = [(a + f).double().flatten(2).mean(2) for a, f in zip(*looks, strict=True)]
    expected = torch.cat([means[1], means[2]], 1) @ network.classify.weight.double().T + network.classify.bias.double()
    assert looks[0][1].shape[-1] == SIZE // 16
    assert looks[0][2].shape[-1] == SIZE // 32
    torch.testing.assert_close(network(rgb, flow).double(), expected, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_frames_of_a_sample_vote_with_their_logits(network):
    rgb, flow = pictures(n=2)
    single = [network(rgb[:, k : k + 1], flow[:, k : k + 1]) for k in (0, 1)]
    torch.testing.assert_close(network(rgb, flow), (single[0] + single[1]) / 2, atol=1e-4, rtol=1e-4)


def test_one_stream_alone_is_enough():
    alone = ActorClassifier(NetworkOptions(5, streams=("flow",), image_size=SIZE)).eval()
    with torch.no_grad():
        assert alone(None, pictures()[1]).shape == (3, 5)
