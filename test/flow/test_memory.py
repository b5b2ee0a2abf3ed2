"""What the torch engines do when the GPU's memory is full; the shortage is staged, the handling is not."""

import numpy as np
import pytest

from amtnet_ros.errors import UserError

torch = pytest.importorskip("torch", reason="the torch engines need torch")

from amtnet_ros.flow.torch_engine import TorchFlow  # noqa: E402


class Hungry(TorchFlow):
    """Has memory for so many pairs at once; its flow is the difference of the images."""

    def __init__(self, room):
        super().__init__("hungry", (16, 16), "cpu")
        self.room = room

    def _prepare(self, image):
        return image[..., 0]

    def _flow(self, previous, current):
        if len(previous) > self.room:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return (current.float() - previous.float()).unsqueeze(-1).expand(-1, -1, -1, 2)


def test_a_batch_too_large_is_split_with_one_warning():
    previous = np.zeros((7, 16, 16, 3), np.uint8)
    current = previous + np.arange(7, dtype=np.uint8)[:, None, None, None]
    engine = Hungry(2)
    with pytest.warns(RuntimeWarning, match="GPU memory is full") as warned:
        flow = engine.batch(previous, current)
    assert flow[:, 0, 0, 0].tolist() == list(range(7))
    assert len(warned) == 2  # to 3 pairs at once, then to 1
    assert np.array_equal(engine.batch(previous, current), flow)


def test_not_even_one_pair_fits():
    image = np.zeros((16, 16, 3), np.uint8)
    with pytest.raises(UserError, match="does not fit into the memory"):
        Hungry(0)(image, image)
