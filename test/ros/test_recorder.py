"""Player, detector and recorder as three processes: the whole way from a file to files."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import av
import cv2
import numpy as np
from stage import Stage, wait_until, walker

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
    assert detector.end(signal.SIGINT) == 0
    wait_until(lambda: any(tube.state == 3 for message in stage.tubes for tube in message.tubes), "tubes end")
    assert not tubes_file.exists(), "files appear when they are whole"
    assert recorder.end(signal.SIGINT) == 0, recorder.output
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
