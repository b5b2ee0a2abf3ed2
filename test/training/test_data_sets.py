"""Every kind of data set can be trained on."""

import json

import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

import action_clips  # noqa: E402
import cv2  # noqa: E402
import plain_trunk  # noqa: E402, F401  (registers the trunk)

from amtnet_ros.data.custom import read_custom  # noqa: E402
from amtnet_ros.errors import UserError  # noqa: E402
from amtnet_ros.media.video import open_source  # noqa: E402
from amtnet_ros.training.config import DataConfig  # noqa: E402
from amtnet_ros.training.sources import open_dataset  # noqa: E402
from amtnet_ros.training.trainer import Trainer  # noqa: E402


def test_ucf101_24_is_trained_on_in_the_authors_layout(actions, experiment, tmp_path):
    """Images numbered from 1, boxes as x, y, w, h."""
    source = read_custom(actions)
    database = {}
    for name, video in source.videos.items():
        folder = tmp_path / "ucf" / "rgb-images" / name
        folder.mkdir(parents=True)
        for t, image in enumerate(open_source(str(video.path)), start=1):
            cv2.imwrite(str(folder / f"{t:05}.jpg"), cv2.resize(image, (320, 240))[..., ::-1])
        (action,) = video.instances
        boxes = [[2 * x1, 2 * y1, 2 * (x2 - x1), 2 * (y2 - y1)] for x1, y1, x2, y2 in action.boxes.tolist()]
        tube = {"label": action.label, "sf": 2, "ef": 11, "boxes": boxes[2:11]}
        database[name] = {"label": action.label, "numf": 12, "annotations": [tube]}
    content = {"classes": source.classes, "trainvideos": source.train, "db": database}
    (tmp_path / "ucf" / "annotations.json").write_text(json.dumps(content))
    (tmp_path / "ucf" / "testlist01.txt").write_text("\n".join(source.test))
    config = experiment(
        data={"dataset": "ucf101_24", "root": str(tmp_path / "ucf"), "deltas": [1, 4]},
        network={"trunk": "plain", "image_size": 128},
    )
    trainer = Trainer(config, tmp_path / "run", tmp_path, "cpu")
    assert trainer.run(tmp_path / "cache")
    assert trainer.dataset.classes == action_clips.CLASSES


def test_jhmdb21_is_trained_on_with_pasted_actors(data_root, experiment, tmp_path):
    config = experiment(
        data={"dataset": "jhmdb21", "root": None, "split": 2, "clips": 3, "deltas": [1, 2], "repeats": "skip"},
        network={"trunk": "plain", "image_size": 128},
        augmentation={"copy_paste": 0.7},
        optimiser={"iterations": 2},
        run={"validate_clips": 1},
    )
    trainer = Trainer(config, tmp_path / "run", data_root, "cpu")
    assert trainer.run(tmp_path / "cache")
    assert len(trainer.dataset.classes) == 21


def test_a_data_set_that_is_not_there_or_has_nothing_to_train_on_is_named(actions, tmp_path):
    with pytest.raises(UserError, match="no such folder; --data-root"):
        open_dataset(DataConfig(dataset="jhmdb21"), tmp_path)
    with pytest.raises(UserError, match=r"annotations\.json\.gz is missing"):
        open_dataset(DataConfig(dataset="jhmdb21", root=str(tmp_path)), tmp_path)
    content = json.loads(actions.read_text())
    for video in content["videos"].values():
        video["split"] = "test"
        video.pop("path")
    (tmp_path / "tests.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="no video is marked for training"):
        open_dataset(DataConfig(dataset="custom", root=str(tmp_path / "tests.json")), tmp_path)
