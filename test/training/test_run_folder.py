"""What a run leaves behind: log, pictures, environment, TensorBoard."""

import json
import subprocess

import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import plain_trunk  # noqa: E402, F401  (registers the trunk)
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: E402

from amtnet_ros.data.samples import PairSample  # noqa: E402
from amtnet_ros.errors import UserError  # noqa: E402
from amtnet_ros.training.environment import describe_environment, git_revision  # noqa: E402
from amtnet_ros.training.pictures import sample_picture, sheet  # noqa: E402
from amtnet_ros.training.run_folder import RunFolder  # noqa: E402
from amtnet_ros.training.trainer import Trainer  # noqa: E402


@pytest.fixture(scope="module")
def finished(actions, cache_folder, tmp_path_factory):
    """The folder of a run of six steps, validated every three."""
    from amtnet_ros.training.config import Experiment

    folder = tmp_path_factory.mktemp("run")
    config = Experiment(
        name="tiny",
        data={"dataset": "custom", "root": str(actions), "flow": "dis:ultrafast", "deltas": (1, 2)},
        network={"trunk": "plain", "image_size": 128},
        initial={"rgb": None, "flow": None},
        optimiser={"batch_size": 2, "iterations": 6, "drops": ()},
        run={"workers": 0, "threads": 1, "validate_every": 3},
    )
    Trainer(config, folder, folder, "cpu").run(cache_folder)
    return folder


def records(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_the_folder_holds_everything(finished):
    names = {path.name for path in finished.iterdir()}
    assert names == {
        "checkpoint.pt",
        "curves.png",
        "environment.json",
        "experiment.json",
        "log.jsonl",
        "samples.png",
        "tensorboard",
    }
    experiment = json.loads((finished / "experiment.json").read_text())
    assert experiment["optimiser"]["iterations"] == 6


def test_the_log_has_every_step_and_validation(finished):
    steps = [r["step"] for r in records(finished) if "classification" in r]
    looks = [r for r in records(finished) if "frame_map" in r]
    assert steps == [1, 2, 3, 4, 5, 6]
    assert [r["step"] for r in looks] == [3, 6]
    assert all(0 <= look[key] <= 1 for look in looks for key in ("located", "named", "clips_named", "frame_map"))


def test_tensorboard_shows_the_same_numbers_and_the_samples(finished):
    events = EventAccumulator(str(finished / "tensorboard"))
    events.Reload()
    for key in ("classification", "localisation", "gradient", "rate"):
        shown = {event.step: event.value for event in events.Scalars(f"training/{key}")}
        logged = {r["step"]: r[key] for r in records(finished) if key in r}
        assert shown.keys() == logged.keys()
        assert all(shown[step] == pytest.approx(logged[step], rel=1e-6) for step in logged)
    assert [event.step for event in events.Scalars("validation/frame_map")] == [3, 6]
    picture = cv2.imdecode(np.frombuffer(events.Images("samples")[0].encoded_image_string, np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(picture, cv2.imread(str(finished / "samples.png")))


def test_curves_are_a_picture_of_some_size(finished):
    assert min(cv2.imread(str(finished / "curves.png")).shape[:2]) > 200


def test_a_resumed_log_drops_what_will_be_repeated_and_lines_cut_short(finished, tmp_path):
    from amtnet_ros.training.config import Experiment

    log = tmp_path / "log.jsonl"
    log.write_text("".join(json.dumps({"step": s, "rate": 1}) + "\n" for s in (1, 2, 3, 4, 5)) + '{"step": 6, "ra')
    folder = RunFolder(tmp_path)
    folder.begin(Experiment(name="a"), {"cpu": "one"}, 3)
    folder.begin(Experiment(name="a"), {"cpu": "two"}, 3)
    folder.close()
    assert [r["step"] for r in records(tmp_path)] == [1, 2, 3]
    starts = json.loads((tmp_path / "environment.json").read_text())
    assert [(start["cpu"], start["step"]) for start in starts] == [("one", 3), ("two", 3)]


def test_the_environment_names_machine_versions_and_revision(tmp_path):
    found = describe_environment(torch.device("cpu"), 2)
    assert found["packages"]["torch"] == torch.__version__.split("+")[0]
    assert found["processes"] == 2
    assert found["cpu"]
    json.dumps(found)
    assert git_revision(tmp_path) is None
    for command in (
        ("init", "-q"),
        ("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "a"),
    ):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    commit = git_revision(tmp_path)
    assert len(commit) == 40
    (tmp_path / "file").touch()
    subprocess.run(["git", "-C", str(tmp_path), "add", "."], check=True)
    assert git_revision(tmp_path) == commit + "+changes"


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file/run: cannot be made .* --out"):
        RunFolder(tmp_path / "file" / "run")


def test_sample_pictures_show_each_frames_boxes_and_newest_flow():
    rgb = np.stack([np.full((3, 100, 100), v, np.uint8) for v in (10, 20)])
    flow = np.zeros((2, 15, 100, 100), np.uint8)
    flow[:, 12:] = np.array([30, 40], np.uint8)[:, None, None, None]
    boxes = np.array([[[0.1, 0.2, 0.5, 0.6], [0.3, 0.2, 0.7, 0.6]]], np.float32)
    sample = PairSample(rgb, flow, boxes, np.array([1]), "clip")
    picture = sample_picture(sample, ["sit", "run"])
    assert picture.shape == (100, 4 * 100 + 3 * 4, 3)
    for tile, (value, left) in enumerate(((10, 10), (20, 30), (30, 10), (40, 30))):
        part = picture[:, tile * 104 : tile * 104 + 100]
        assert (part[90, 90] == value).all()
        assert (part[50, left] == (80, 255, 80)).all()
        assert (part[50, left + 39] == (80, 255, 80)).all()
    flow_only = PairSample(None, flow[:1], boxes, np.array([1]), "clip")
    assert sheet([sample, flow_only], ["sit", "run"]).shape == (2 * 104, 412, 3)
