"""Player, detector and recorder as three processes: the whole way from a file to files."""

from __future__ import annotations

import base64
import json
import signal
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from stage import Stage, wait_until, walker
from std_msgs.msg import Header

from amtnet_ros.msg import ActionTube, ActionTubeArray
from amtnet_ros.ros.messages import nanoseconds, time_message
from amtnet_ros.ros.qos import RESULTS

COUNT = 24


def write_clip(folder: Path) -> Path:
    clip = folder / "clip"
    clip.mkdir()
    for number, frame in zip(range(COUNT), walker(), strict=False):
        cv2.imwrite(str(clip / f"{number}.png"), frame[..., ::-1])
    return clip


def test_tubes_and_video_are_recorded(stage: Stage, tmp_path: Path) -> None:
    clip, tubes_file, video_file = (
        write_clip(tmp_path),
        tmp_path / "out" / "tubes.jsonl",
        tmp_path / "out" / "tubes.mp4",
    )
    detector = stage.run(
        "detector_node",
        *(
            "--ros-args",
            "-r",
            "image:=/camera/image_raw",
            "-p",
            "autostart:=true",
            "-p",
            f"model:={stage.model}",
            "-p",
            "score_threshold:=0.001",
        ),
    )
    recorder = stage.run("recorder", "--tubes", str(tubes_file), "--video", str(video_file))
    stage.be_heard()
    player = stage.run("player", str(clip), "--rate", "15", "--lockstep", "--subscribers", "2", "--wait", "40")
    assert player.wait() == 0, player.output + detector.output
    assert detector.end(signal.SIGHUP) == 0
    wait_until(lambda: any(tube.state == 3 for message in stage.tubes for tube in message.tubes), "tubes end")
    assert not tubes_file.exists(), "files appear when they are whole"
    assert recorder.end(signal.SIGTERM) == 0, recorder.output
    assert sorted(path.name for path in tubes_file.parent.iterdir()) == ["tubes.jsonl", "tubes.mp4"]

    # What was published is what was recorded, box by box.
    published: dict[int, dict[int, list[float]]] = {}
    for message in stage.tubes:
        for tube in message.tubes:
            for box in tube.boxes:
                stamp = box.stamp.sec * 10**9 + box.stamp.nanosec
                published.setdefault(tube.id, {})[stamp] = [box.x1, box.y1, box.x2, box.y2]
    lines = [json.loads(line) for line in tubes_file.read_text().splitlines()]
    assert {line["id"] for line in lines} == set(published) != set()
    assert any(line["confirmed"] for line in lines)
    for line in lines:
        assert line["ended"]
        assert (line["image_width"], line["image_height"], line["frame_id"]) == (320, 240, "camera")
        recorded = {box["stamp"]: box["box"] for box in line["boxes"]}
        assert list(recorded) == sorted(recorded)
        for stamp, box in published.get(line["id"], {}).items():
            np.testing.assert_allclose(recorded[stamp], box, atol=0.006)
    assert "Action tubes" in recorder.output
    assert f"{COUNT} steps of the detector, {COUNT} images recorded" in recorder.output, player.output + detector.output

    with av.open(str(video_file)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        assert stream.codec_context.name == "h264"
    assert len(frames) == COUNT
    assert frames[0].shape == (240, 320, 3)


def test_an_mcap_recording_holds_picture_boxes_and_tubes(stage: Stage, tmp_path: Path) -> None:
    mcap = pytest.importorskip("mcap.reader", reason="mcap, which writes and reads such files, is not installed")
    file = tmp_path / "out" / "seen.mcap"
    recorder = stage.run("recorder", "--mcap", str(file), "--image", "image")
    wait_until(lambda: stage.node.count_subscribers("action_tubes") == 2, "the recorder listens")
    stage.detector()
    wait_until(lambda: stage.images.get_subscription_count() == 2, "it asks for images")
    stage.film(walker(), until=lambda: sum(any(tube.state == 1 for tube in each.tubes) for each in stage.tubes) > 5)
    assert recorder.end(signal.SIGINT) == 0, recorder.output
    assert sorted(path.name for path in file.parent.iterdir()) == ["seen.jsonl", "seen.mcap"]

    found: dict[str, dict[int, Any]] = {}
    with file.open("rb") as opened:
        for schema, channel, message in mcap.make_reader(opened).iter_messages():
            assert (schema.encoding, channel.message_encoding) == ("jsonschema", "json")
            assert json.loads(schema.data)["title"] == schema.name
            found.setdefault(schema.name, {})[message.log_time] = json.loads(message.data)
    pictures, boxes, arrays = (
        found[name] for name in ("foxglove.CompressedImage", "foxglove.ImageAnnotations", "amtnet_ros.ActionTubeArray")
    )
    assert set(boxes) == set(arrays)
    assert len(set(pictures) & set(arrays)) > 5
    picture = next(iter(pictures.values()))
    image = cv2.imdecode(np.frombuffer(base64.b64decode(picture["data"]), np.uint8), cv2.IMREAD_COLOR)
    assert (image.shape, picture["format"], picture["frame_id"]) == ((240, 320, 3), "jpeg", "camera")

    published = {nanoseconds(each.header.stamp): each for each in stage.tubes}
    compared = 0
    for stamp, array in arrays.items():
        message = published[stamp]
        assert array["timestamp"] == {"sec": message.header.stamp.sec, "nsec": message.header.stamp.nanosec}
        assert [(tube["id"], tube["class_name"], tube["state"]) for tube in array["tubes"]] == [
            (tube.id, tube.class_name, tube.state) for tube in message.tubes
        ]
        newest = [
            ([box.x1, box.y1, box.x2, box.y2], f"#{tube.id} {tube.class_name} {tube.score:.2f}")
            for tube in message.tubes
            for box in tube.boxes
            if box.stamp == message.header.stamp and tube.state != 3
        ]
        drawn = boxes[stamp]
        assert [text["text"] for text in drawn["texts"]] == [name for _, name in newest]
        for outline, (box, _) in zip(drawn["points"], newest, strict=True):
            corners = [(point["x"], point["y"]) for point in outline["points"]]
            np.testing.assert_allclose([*corners[0], *corners[2]], box, atol=1e-3)
            compared += 1
    assert compared > 5


def test_a_recorder_that_is_to_write_nothing_says_so(stage: Stage) -> None:
    recorder = stage.run("recorder")
    assert recorder.wait() == 2
    assert recorder.output == "recorder: say what to write: --tubes, --video or --mcap\n"


def test_a_recording_without_a_detector_says_so_and_leaves_no_video(stage: Stage, tmp_path: Path) -> None:
    recorder = stage.run(
        "recorder", "--tubes", str(tmp_path / "tubes.jsonl"), "--video", str(tmp_path / "tubes.mp4"), "--require-tubes"
    )
    wait_until(lambda: stage.node.count_subscribers("action_tubes") == 2, "the recorder listens")
    assert recorder.end(signal.SIGTERM) == 1
    assert "no message came on action_tubes" in recorder.output
    assert (tmp_path / "tubes.jsonl").read_text() == ""
    assert not (tmp_path / "tubes.mp4").exists()


def test_a_place_that_cannot_be_written_is_named_in_one_line(stage: Stage) -> None:
    recorder = stage.run("recorder", "--tubes", "/proc/nowhere/tubes.jsonl")
    assert recorder.wait() == 2
    (line,) = recorder.output.strip().splitlines()
    assert "/proc/nowhere/tubes.jsonl" in line


def test_of_two_detectors_on_one_topic_each_action_begins_and_ends_once(stage: Stage, tmp_path: Path) -> None:
    recorder = stage.run("recorder", "--tubes", str(tmp_path / "tubes.jsonl"), "--events")
    tubes = stage.node.create_publisher(ActionTubeArray, "action_tubes", RESULTS)
    wait_until(lambda: tubes.get_subscription_count() > 1, "the recorder listens, as the stage does")
    for number in range(20):
        for session, name in ((1, "walk"), (2, "wave")):
            message = ActionTubeArray(header=Header(stamp=time_message(10**9 + number)))
            message.session.uuid = np.full(16, session, dtype=np.uint8)
            state = ActionTube.ENDED if number == 19 else ActionTube.ACTIVE
            message.tubes = [ActionTube(id=7, state=state, class_id=session, class_name=name, has_action=True)]
            tubes.publish(message)
    for name in ("walk", "wave"):
        assert recorder.wait_for(f"#7 {name} ends").count(f"#7 {name} begins") == 1
    assert recorder.end(signal.SIGINT) == 0
    assert recorder.output.count(" begins ") == recorder.output.count(" ends ") == 2
