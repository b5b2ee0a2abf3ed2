"""What the review server gives, to whom, and what it refuses."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from werkzeug.test import Client, TestResponse

from amtnet_ros.cli.commands import amtnet
from amtnet_ros.data.custom import read_custom
from amtnet_ros.errors import UserError
from amtnet_ros.review.frames import FrameStore
from amtnet_ros.review.reviewed import ReviewedFile
from amtnet_ros.review.server import ReviewApp


@pytest.fixture
def client(actions: Path) -> Iterator[Client]:
    frames = FrameStore()
    yield Client(ReviewApp(ReviewedFile(actions), frames))
    frames.close()


HERE = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}


def clip(client: Client, name: str = "wave/a") -> dict[str, Any]:
    content: dict[str, Any] = client.get("/video", query_string={"name": name}).get_json()
    return content


def post(client: Client, change: dict[str, Any], name: str = "wave/a", **headers: str) -> TestResponse:
    return client.post("/video", query_string={"name": name}, json=change, headers={**HERE, **headers})


def change_of(content: dict[str, Any]) -> dict[str, Any]:
    return {key: content[key] for key in ("version", "actions", "review")}


def test_it_lists_the_clips_and_gives_each_with_its_tubes(client: Client) -> None:
    assert client.get("/videos").get_json() == {
        "file": "actions.json",
        "labels": ["wave", "clap", "none"],
        "videos": [
            {"name": "wave/a", "labels": ["wave"], "review": "open"},
            {"name": "clap/b", "labels": [], "review": "open"},
        ],
    }
    content = clip(client)
    assert (content["n_frames"], content["rate"], content["review"]) == (30, 10, "open")
    assert [tube["first_frame"] for tube in content["candidates"]] == [0, 5]


def test_a_frame_is_the_videos_own(client: Client) -> None:
    for number in (29, 0, 7):
        response = client.get("/frame", query_string={"name": "wave/a", "number": number})
        assert response.mimetype == "image/jpeg"
        image = cv2.imdecode(np.frombuffer(response.data, np.uint8), cv2.IMREAD_GRAYSCALE)
        assert image is not None
        assert image.shape == (120, 160)
        assert float(image[50:70, 35 + 2 * number - 15 : 35 + 2 * number].mean()) == pytest.approx(
            120 + 3 * number, abs=4
        )


def test_a_change_is_in_the_file_at_once_and_leaves_the_rest_alone(client: Client, actions: Path) -> None:
    before = json.loads(actions.read_text())
    content = clip(client)
    content["actions"][0] = {"label": "none", "first_frame": 3, "boxes": [[1, 2, 30, 40.5], [2, 2, 31, 40.5]]}
    content["review"] = "accepted"
    response = post(client, change_of(content))
    assert response.status_code == 200
    after = json.loads(actions.read_text())
    expected = json.loads(json.dumps(before))
    expected["videos"]["wave/a"].update(actions=content["actions"], review="accepted")
    assert after == expected
    assert read_custom(actions).videos["wave/a"].others[0].frames.tolist() == [3, 4]
    assert clip(client)["version"] == response.get_json()["version"] != content["version"]


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"review": "perhaps"}, 400, "Input should be 'open', 'accepted' or 'dropped'"),
        (
            {"actions": [{"label": "fly", "first_frame": 0, "boxes": [[0, 0, 9, 9]]}]},
            422,
            "'fly' is not one of the classes",
        ),
        ({"actions": [{"label": "wave", "first_frame": 0, "boxes": [[0, 0, 999, 9]]}]}, 422, "within 160 x 120"),
        ({"actions": [{"label": "wave", "first_frame": 30, "boxes": [[0, 0, 9, 9]]}]}, 422, "frames 0 to 29"),
        ({"actions": "all"}, 400, "valid list"),
        ({"path": "/etc/passwd"}, 400, "Extra inputs"),
        ({"version": "old"}, 409, "load the page anew"),
    ],
)
def test_a_change_that_is_not_valid_is_refused_and_nothing_written(
    client: Client, actions: Path, change: dict[str, Any], code: int, words: str
) -> None:
    before = actions.read_bytes()
    response = post(client, {**change_of(clip(client)), **change})
    assert (response.status_code, words in response.text) == (code, True), response.text
    assert actions.read_bytes() == before


def test_what_another_program_writes_meanwhile_is_not_lost(client: Client, actions: Path) -> None:
    mine = clip(client, "clap/b")
    content = json.loads(actions.read_text())
    content["videos"]["wave/a"]["review"] = "dropped"
    actions.write_text(json.dumps(content))
    assert post(client, {**change_of(mine), "review": "accepted"}, "clap/b").status_code == 200
    reviews = [video["review"] for video in client.get("/videos").get_json()["videos"]]
    assert reviews == ["dropped", "accepted"]
    content["videos"]["clap/b"]["review"] = "dropped"
    actions.write_text(json.dumps(content))
    assert post(client, {**change_of(mine), "review": "accepted"}, "clap/b").status_code == 409


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, 400),
        ({"Content-Type": "text/plain"}, 400),
    ],
)
def test_other_sites_can_change_nothing(client: Client, actions: Path, headers: dict[str, str], code: int) -> None:
    before = actions.read_bytes()
    assert post(client, {**change_of(clip(client)), "review": "dropped"}, **headers).status_code == code
    assert actions.read_bytes() == before


def test_other_sites_can_read_nothing(client: Client) -> None:
    for path in ("/", "/videos", "/video?name=wave/a", "/frame?name=wave/a&number=0"):
        assert client.get(path).status_code == 200
        assert client.get(path, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
        assert client.get(path, headers={"Host": "evil.example:8765"}).status_code == 400
        assert client.get(path, headers={"Host": "localhost:9000"}).status_code == 200, "ssh forwards from any port"
        headers = client.get(path).headers
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "default-src 'self'" in headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "path",
    [
        "/video?name=../secret",
        "/frame?name=secret&number=0",
        "/frame?name=wave/a&number=30",
        "/frame?name=wave/a&number=-1",
        "/frame?name=wave/a&number=first",
        "/../actions.json",
        "/actions.json",
        "/server.py",
        "/page/../server.py",
    ],
)
def test_nothing_but_the_clips_of_the_file_is_served(client: Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_a_clip_that_cannot_be_read_can_still_be_dropped(client: Client, actions: Path) -> None:
    (actions.parent / "a.mp4").unlink()
    (actions.parent / "a.mp4").write_bytes(b"cut short")
    content = clip(client)
    assert "a.mp4: cannot be read as a video" in content["problem"]
    assert client.get("/frame?name=wave/a&number=0").status_code == 422
    assert post(client, {**change_of(content), "review": "dropped"}).status_code == 200


def test_frames_of_clips_that_were_left_are_removed_and_come_again(clips: Path) -> None:
    frames = FrameStore()
    videos = [clips / "a.mp4"]
    for number in range(6):
        copy = clips / f"copy_{number}.mkv"
        copy.write_bytes((clips / "a.mp4").read_bytes())
        videos.append(copy)
    first = frames.frame(videos[0], 0)
    for video in videos[1:]:
        frames.frame(video, 29)
    folder = Path(frames._folder.name)
    assert len(list(folder.rglob("*.jpg"))) == 4 * 30
    assert frames.frame(videos[0], 0) == first
    with pytest.raises(UserError, match="has 30 frames, no frame 30"):
        frames.frame(videos[0], 30)
    frames.close()
    assert not folder.exists()
    for copy in videos[1:]:
        copy.unlink()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not JSON"),
        ('{"format": "amtnet-actions", "version": 1, "classes": ["a"], "videos": {}}', "no videos to review"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_reviewed_is_named_in_one_line(tmp_path: Path, content: str | None, words: str) -> None:
    file = tmp_path / "actions.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UserError, match=words) as raised:
        CliRunner().invoke(amtnet, ["annotate", "review", str(file)], catch_exceptions=False)
    assert str(file) in str(raised.value)


def test_a_missing_clip_and_a_port_that_is_taken_are_named(actions: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"cannot listen at 127.0.0.1, port {port} .*--port takes another"):
            CliRunner().invoke(
                amtnet, ["annotate", "review", str(actions), "--port", str(port)], catch_exceptions=False
            )
    (actions.parent / "a.mp4").unlink()
    with pytest.raises(UserError, match=r"wave/a, path: .*a\.mp4 does not exist"):
        CliRunner().invoke(amtnet, ["annotate", "review", str(actions)], catch_exceptions=False)
