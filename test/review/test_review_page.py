"""The review page in a real browser, by its keys and the mouse; what it shows is looked at, what it saves is read."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from amtnet_ros.review.frames import FrameStore
from amtnet_ros.review.reviewed import ReviewedFile
from amtnet_ros.review.server import ReviewApp, listen

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 30.0  # seconds
OPTIONS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


def wait_until(condition: Callable[[], Any], what: str) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > until:
            pytest.fail(f"waited in vain until {what}")
        time.sleep(0.02)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


class Review:
    """A page that looks at a file's clips. address: of a server that runs already."""

    def __init__(self, file: Path, browser: Browser, address: str) -> None:
        self.file = file
        self.page: Page = browser.new_page(viewport={"width": 1100, "height": 800})
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(address)
        self.wait_for_frame(0)

    def wait_for_frame(self, frame: int) -> None:
        ready = f"clip && clip.frame === {frame} && image({frame}).complete && image({frame}).naturalWidth > 0"
        wait_until(lambda: self.page.evaluate(ready), f"frame {frame} is shown: {self.text('message')}")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def seek(self, frame: int) -> None:
        self.page.evaluate(f"seek({frame})")
        self.wait_for_frame(frame)

    def open(self, name: str) -> None:
        wait_until(lambda: self.page.evaluate("clip && clip.name") == name, f"{name} is open")

    def text(self, element: str) -> str:
        return self.page.locator(f"#{element}").inner_text()

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """From a point to another, in pixels of the video."""
        area, scale = self.page.locator("#picture").bounding_box(), self.page.evaluate("clip.scale")
        assert area is not None
        points = [(area["x"] + x * scale, area["y"] + y * scale) for x, y in (start, end)]
        self.page.mouse.move(*points[0])
        self.page.mouse.down()
        self.page.mouse.move(*points[1], steps=4)
        self.page.mouse.up()

    def pixel(self, x: float, y: float) -> list[int]:
        """The colour that is shown at a point of the video."""
        at = "Math.round({} * clip.scale)"
        colour: list[int] = self.page.evaluate(
            f"[...picture.getContext('2d').getImageData({at.format(x)}, {at.format(y)}, 1, 1).data].slice(0, 3)"
        )
        return colour

    def saved(self, name: str = "wave/a") -> dict[str, Any]:
        """The clip as the file has it, once nothing waits to be saved."""
        wait_until(lambda: self.page.evaluate("unsaved.size === 0"), f"it is saved: {self.text('saved')}")
        video: dict[str, Any] = json.loads(self.file.read_text())["videos"][name]
        return video

    def close(self) -> None:
        self.page.close()
        assert self.errors == []


@contextmanager
def reviewed(file: Path, browser: Browser) -> Iterator[Review]:
    """A server in a thread of this process, and a page."""
    frames = FrameStore()
    server = listen(ReviewApp(ReviewedFile(file), frames), 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    made = Review(file, browser, f"http://localhost:{server.port}/")
    yield made
    made.close()
    server.shutdown()
    frames.close()


@pytest.fixture
def review(actions: Path, browser: Browser) -> Iterator[Review]:
    with reviewed(actions, browser) as made:
        yield made


def square(frame: int) -> list[float]:
    return [10 + 2 * frame, 30, 50 + 2 * frame, 90]


def test_frames_and_tubes_are_drawn_where_they_are(review: Review) -> None:
    for frame in (0, 12, 29):
        review.seek(frame)
        x1, y1, x2, y2 = square(frame)
        np.testing.assert_allclose(review.pixel((x1 + x2) / 2, 60), 120 + 3 * frame, atol=6)
        assert review.pixel((x1 + x2) / 2, y2) == [0xFF, 0xD3, 0x3D], "the box's lower side"
        assert review.pixel(x1, (y1 + y2) / 2) == [0xFF, 0xD3, 0x3D], "its left side"
        np.testing.assert_allclose(review.pixel(5, 115), 40, atol=6)
    review.press("ArrowLeft", "Shift+ArrowLeft")
    review.wait_for_frame(18)
    review.press("Home", " ")
    wait_until(lambda: review.page.evaluate("clip.frame > 3"), "it plays")
    review.press(" ")
    assert review.text("counts") == "0 accepted, 0 dropped, 2 open"


def test_clips_are_accepted_and_dropped_one_after_the_other(actions: Path, browser: Browser) -> None:
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.Popen(
        [sys.executable, "-m", "amtnet_ros.cli.main", "annotate", "review", actions.name, "--port", "0"],
        cwd=actions.parent,
        env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "actions.json: 0 accepted, 0 dropped, 2 open\n"
    address = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
    assert address is not None
    review = Review(actions, browser, address[0])
    review.press("a")
    review.open("clap/b")
    assert review.saved()["review"] == "accepted"
    assert review.text("message") == "Nobody has an action here; 1 to 9 take a tube."
    review.press("d")
    assert review.saved("clap/b")["review"] == "dropped"
    wait_until(lambda: review.text("message") == "All clips are reviewed.", "it says that all is done")
    review.press("ArrowUp")
    review.open("wave/a")
    review.press("o")
    assert review.saved()["review"] == "open"
    review.close()
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=PATIENCE)
    assert (process.returncode, said) == (0, "actions.json: 0 accepted, 1 dropped, 1 open\n")


def test_begin_and_end_are_trimmed_and_given_back(review: Review) -> None:
    review.seek(4)
    review.press("b")
    review.seek(20)
    review.press("e")
    assert review.saved()["actions"] == [
        {"label": "wave", "first_frame": 4, "boxes": [square(frame) for frame in range(4, 21)]}
    ]
    review.seek(2)
    review.press("[")
    review.seek(25)
    review.press("]")
    (action,) = review.saved()["actions"]
    assert (action["first_frame"], action["boxes"]) == (2, [square(frame) for frame in range(2, 26)])
    review.press("u", "u", "u")
    (action,) = review.saved()["actions"]
    assert (action["first_frame"], len(action["boxes"])) == (4, 26)
    review.seek(2)
    review.press("]")
    assert review.text("message") == "the action would be over before it begins"


def test_another_tube_is_taken_and_one_more_person_added_and_removed(review: Review) -> None:
    review.press("2")
    (action,) = review.saved()["actions"]
    assert (action["label"], action["first_frame"], action["boxes"]) == ("wave", 5, [[100, 10, 140, 110]] * 20)
    review.press("Shift+Digit1")
    assert [action["first_frame"] for action in review.saved()["actions"]] == [5, 0]
    review.page.locator("#label").select_option("none")
    assert [action["label"] for action in review.saved()["actions"]] == ["wave", "none"]
    review.press("Tab", "Delete")
    assert [action["label"] for action in review.saved()["actions"]] == ["none"]
    review.press("7")
    assert review.text("message") == "there is no tube 7; the detector found 2"
    review.press("a")
    review.open("clap/b")
    review.press("1")
    (action,) = review.saved("clap/b")["actions"]
    assert action["label"] == "clap", "as its folder is called"


def test_boxes_between_two_corrected_ones_move_evenly_and_others_stay(review: Review) -> None:
    review.seek(10)
    x1, y1, x2, y2 = square(10)
    review.drag((x2, y2), (x2 + 20, y2 + 16))
    corrected = review.saved()["actions"][0]["boxes"]
    np.testing.assert_allclose(corrected[10], [x1, y1, x2 + 20, y2 + 16], atol=0.3)
    assert corrected[:10] + corrected[11:] == [square(frame) for frame in range(30) if frame != 10]
    review.seek(20)
    x1, y1, x2, y2 = square(20)
    review.drag(((x1 + x2) / 2, (y1 + y2) / 2), ((x1 + x2) / 2 - 10, (y1 + y2) / 2 + 8))
    boxes = np.array(review.saved()["actions"][0]["boxes"])
    np.testing.assert_allclose(boxes[20], [x1 - 10, y1 + 8, x2 - 10, y2 + 8], atol=0.3)
    shares = np.linspace(0, 1, 11)[:, None]
    np.testing.assert_allclose(boxes[10:21], boxes[10] + (boxes[20] - boxes[10]) * shares, atol=0.011)
    assert boxes[21:].tolist() == [square(frame) for frame in range(21, 30)]
    review.press("k")
    review.seek(25)
    x1, y1, x2, y2 = square(25)
    review.drag((x1, y1), (x1 - 5, y1 - 5))
    after = np.array(review.saved()["actions"][0]["boxes"])
    assert after[21:25].tolist() == [square(frame) for frame in range(21, 25)], "a correction that is done stays apart"
    review.press("u", "u", "u")
    assert review.saved()["actions"][0]["boxes"] == [square(frame) for frame in range(30)]


def test_a_box_stays_in_the_picture_and_never_turns_over(review: Review) -> None:
    review.seek(0)
    review.drag((30, 60), (-50, 300))
    assert review.saved()["actions"][0]["boxes"][0] == [0, 60, 40, 120]
    review.drag((40, 119), (0, 0))
    x1, y1, x2, y2 = review.saved()["actions"][0]["boxes"][0]
    assert 0 <= x1 < x2 <= 160
    assert 0 <= y1 < y2 <= 120


def test_annotations_of_some_frames_only_stay_so(actions: Path, browser: Browser) -> None:
    content = json.loads(actions.read_text())
    content["videos"]["wave/a"]["actions"] = [
        {"label": "wave", "frames": [0, 10, 20], "boxes": [square(0), square(10), square(20)]}
    ]
    actions.write_text(json.dumps(content))
    with reviewed(actions, browser) as review:
        review.seek(5)
        x1, y1, x2, y2 = square(5)
        review.drag((x2, y2), (x2 + 10, y2 + 10))
        (action,) = review.saved()["actions"]
        assert action["frames"] == [0, 5, 10, 20]
        np.testing.assert_allclose(action["boxes"][1], [x1, y1, x2 + 10, y2 + 10], atol=0.3)
        review.seek(15)
        review.press("]")
        review.seek(2)
        review.press("[")
        (action,) = review.saved()["actions"]
        assert action["frames"] == [2, 5, 10, 15]
        assert action["boxes"][3] == square(15)


def test_what_cannot_be_saved_is_said_and_kept_until_it_can(review: Review) -> None:
    content = json.loads(review.file.read_text())
    content["videos"]["wave/a"]["split"] = "test"
    review.file.write_text(json.dumps(content))
    review.seek(4)
    review.press("[")
    wait_until(lambda: "NOT saved: wave/a: another program or page" in review.text("saved"), "it says so")
    assert len(json.loads(review.file.read_text())["videos"]["wave/a"]["actions"][0]["boxes"]) == 30
    review.page.on("dialog", lambda dialog: dialog.accept())  # the browser asks whether to leave what is not saved
    review.page.reload()
    review.wait_for_frame(0)
    review.seek(4)
    review.press("[")
    video = review.saved()
    assert (video["split"], len(video["actions"][0]["boxes"])) == ("test", 26)
