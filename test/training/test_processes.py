"""Several processes, as torchrun starts them."""

import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

import plain_trunk  # noqa: E402
from torch.distributed.launcher.api import LaunchConfig, elastic_launch  # noqa: E402

from amtnet_ros.errors import UserError  # noqa: E402
from amtnet_ros.model.checkpoint import load_checkpoint  # noqa: E402
from amtnet_ros.training.trainer import Trainer  # noqa: E402


def test_two_processes_learn_what_one_learns_from_the_joint_batch(experiment, cache_folder, tmp_path):
    """Gradients of uneven numbers of positives are weighted, so that only rounding differs."""

    def small(batch_size):
        return experiment(
            network={"trunk": "plain", "image_size": 128},
            optimiser={"name": "sgd", "learning_rate": 1e-2, "batch_size": batch_size, "iterations": 5, "ema": 0.5},
        )

    Trainer(small(4), tmp_path / "one", tmp_path, "cpu").run(cache_folder)
    settings = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=2,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        start_method="forkserver",
        monitor_interval=0.2,
    )
    content = small(2).model_dump(mode="json")
    elastic_launch(settings, plain_trunk.train)(content, str(tmp_path / "two"), str(cache_folder))
    one, two = (load_checkpoint(tmp_path / name / "checkpoint.pt") for name in ("one", "two"))
    assert (two["step"], two["processes"]) == (5, 2)
    torch.manual_seed(0)
    start = Trainer(small(4), tmp_path / "start", tmp_path, "cpu").learner.network.state_dict()
    for name, value in one["network"].items():
        moved = (value - start[name]).abs().max()
        assert (two["network"][name] - value).abs().max() <= 1e-3 * moved + 1e-7, name
    with pytest.raises(UserError, match="there were 2 processes, and are now 1"):
        Trainer(small(2), tmp_path / "two", tmp_path, "cpu")
