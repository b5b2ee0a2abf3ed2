"""What tests of training share: a tiny data set of one's own actions, and an experiment on it."""

import multiprocessing

import action_clips
import pytest

# Processes that tests start are forked from one that has imported torch already.
multiprocessing.set_forkserver_preload(["amtnet_ros.training.trainer"])


@pytest.fixture(scope="session")
def actions(tmp_path_factory):
    """JSON file of two actions, four clips to train on and two to test."""
    return action_clips.make_actions(tmp_path_factory.mktemp("actions"))


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("training-cache")


@pytest.fixture
def experiment(actions):
    """Makes an experiment on the tiny data set; sections are given as dicts."""
    from amtnet_ros.training.config import Experiment  # a robot's pydantic is too old for it

    def make(task="detect", **sections):
        defaults = {
            "data": {"dataset": "custom", "root": str(actions), "flow": "dis:ultrafast"},
            "network": {"image_size": 128},
            "initial": {"rgb": None, "flow": None},
            "optimiser": {"name": "adamw", "learning_rate": 1e-3, "batch_size": 2, "iterations": 4, "drops": []},
            "run": {"workers": 0, "threads": 1, "validate_every": 1000},
        }
        merged = {name: {**defaults.get(name, {}), **sections.get(name, {})} for name in {*defaults, *sections}}
        return Experiment(name="tiny", task=task, **merged)

    return make


@pytest.fixture(autouse=True)
def one_thread():
    """Results are compared bit for bit, and depend on the number of threads."""
    torch = pytest.importorskip("torch", reason="training needs torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
