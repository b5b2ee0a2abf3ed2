"""`amtnet flow` on a real video file."""

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from flow_scenes import texture

from amtnet_ros.cli.flow import flow
from amtnet_ros.errors import UserError
from amtnet_ros.media.video import VideoWriter, open_source

FRAMES = 5


@pytest.fixture
def clip(tmp_path):
    """A texture that moves 2 pixels to the left in each frame."""
    scene = texture(0, 96, 160)
    with VideoWriter(tmp_path / "clip.mp4", 25) as writer:
        for i in range(FRAMES):
            writer.write(scene[:, 2 * i : 2 * i + 128], i / 25)
    return str(tmp_path / "clip.mp4")


def run(*arguments):
    result = CliRunner().invoke(flow, [str(a) for a in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_video(clip, tmp_path):
    assert run(clip, "-o", tmp_path / "flow.mp4", "--size", 128, 96).exit_code == 0
    images = list(open_source(str(tmp_path / "flow.mp4")))
    assert len(images) == FRAMES - 1
    assert images[0].shape == (96, 256, 3)


def test_picture_shows_the_wheels_colour_of_the_motion(clip, tmp_path):
    run(clip, "-o", tmp_path / "flow.png", "--size", 128, 96, "--longest", 2.2)
    image = cv2.imread(str(tmp_path / "flow.png"))[..., ::-1]
    assert image.shape == (96, 256, 3)
    left = np.median(image[20:70, 150:220].reshape(-1, 3), axis=0)  # motion to the left: cyan
    assert left[0] < 80
    assert left[1:].min() > 150


def test_fields_are_standard_flo_files(clip, tmp_path):
    run(clip, "-o", f"{tmp_path}/fields/", "--size", 128, 96)
    files = sorted((tmp_path / "fields").iterdir())
    assert [f.name for f in files] == [f"{i:06d}.flo" for i in range(FRAMES - 1)]
    assert np.abs(cv2.readOpticalFlow(str(files[0]))[20:-20, 20:-20] - (-2, 0)).mean() < 0.2
    with pytest.raises(UserError, match="is there already"):
        run(clip, "-o", f"{tmp_path}/fields/")


def test_exported_graph_is_an_engine(clip, tmp_path):
    graph = tmp_path / "flow.onnx"
    run("--export", graph, "--engine", "brox:fast", "--size", 128, 96)
    assert run(clip, "-o", tmp_path / "flow.png", "--engine", f"onnx:{graph}", "--size", 128, 96).exit_code == 0


def test_one_frame_only(tmp_path):
    with VideoWriter(tmp_path / "still.mp4", 25) as writer:
        writer.write(texture(0, 96, 128), 0)
    with pytest.raises(UserError, match="holds one frame only; flow needs two"):
        run(tmp_path / "still.mp4", "-o", tmp_path / "flow.mp4")
    assert not (tmp_path / "flow.mp4").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "needs a source and an output"),
        (["nothing.mp4", "-o", "flow.mp4"], "no such file"),
        (["--export", "flow.onnx", "--engine", "dis"], "cannot be written as a graph"),
        (["--export", "/nowhere/flow.onnx", "--engine", "brox"], "cannot be written"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(UserError, match=message):
        run(*arguments)


def test_unknown_ending(clip):
    with pytest.raises(UserError, match="the output ends in"):
        run(clip, "-o", "flow.avi")
