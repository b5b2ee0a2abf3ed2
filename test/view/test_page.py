"""The live page in a real browser: the picture appears, a bar grows, with the action's name and colour."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import make_robot_model

from amtnet_ros.media.drawing import colour_of_action
from amtnet_ros.pipeline import Pipeline
from amtnet_ros.view.live import LiveView
from amtnet_ros.view.server import PageServer

CHROMIUM = Path("/usr/bin/chromium")
OPTIONS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright, which drives a browser, is not installed")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no browser, {CHROMIUM}")

COLOUR_IN_THE_MIDDLE = """() => {
    const picture = document.getElementById("picture"), canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [picture.naturalWidth, picture.naturalHeight];
    const drawing = canvas.getContext("2d");
    drawing.drawImage(picture, 0, 0);
    return [...drawing.getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data].slice(0, 3);
}"""
BAR = ".bar[data-action=bright]:not(.unsure)"


@contextmanager
def watched_by(view: LiveView, pipeline: Pipeline) -> Iterator[threading.Event]:
    """A camera that sees something bright, 20 times a second, and after the event is set something dark."""
    dark, over = threading.Event(), threading.Event()

    def film() -> None:
        number = 0
        while not over.wait(0.05):
            image = np.full((120, 160, 3), 10 if dark.is_set() else 240, np.uint8)
            stamp, number = number * 50_000_000, number + 1
            view.add_image(stamp, lambda image=image: image)
            for update in pipeline.push(stamp, image):
                view.add_tubes(update, pipeline.session, pipeline.labels, pipeline.latency)

    thread = threading.Thread(target=film)
    thread.start()
    try:
        yield dark
    finally:
        over.set()
        thread.join()


@contextmanager
def page_of(address: str) -> Iterator[Any]:
    """The page, opened in a browser; what it complains of fails the test."""
    complaints: list[str] = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=OPTIONS)
        page = browser.new_page(viewport={"width": 1200, "height": 700})
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.goto(address, wait_until="domcontentloaded")
        yield page
        browser.close()
    assert complaints == []


def await_true(page: Any, script: str) -> None:
    """Until it is so. wait_for_function asks again by eval(), which the page's policy forbids."""
    until = time.monotonic() + 30
    while not page.evaluate(script):
        assert time.monotonic() < until, script
        page.wait_for_timeout(50)


def test_the_picture_appears_and_a_bar_grows_and_what_is_done_is_named(tmp_path: Path) -> None:
    view = LiveView("a lamp")
    pipeline = Pipeline.from_model(make_robot_model(tmp_path / "tiny"), "cpu")
    server = PageServer(view, port=0)
    try:
        with watched_by(view, pipeline) as dark, page_of(server.address) as page:
            page.wait_for_selector(BAR)
            await_true(page, "() => document.getElementById('picture').naturalWidth === 160")
            assert min(page.evaluate(COLOUR_IN_THE_MIDDLE)) > 200
            bar = page.locator(BAR)
            before = bar.bounding_box()
            await_true(page, f"() => document.querySelector('{BAR}').clientWidth > {before['width'] + 20}")
            assert bar.bounding_box()["x"] == pytest.approx(before["x"], abs=1), "it begins where it began"
            assert bar.inner_text().startswith("bright ")
            colour = bar.locator(".height").evaluate("each => getComputedStyle(each).backgroundColor")
            assert colour == "rgb({}, {}, {})".format(*colour_of_action(0, "bright"))
            assert page.inner_text(".person").strip() == "#1"
            assert "images/s" in page.inner_text("#rates")
            assert "encode" in page.inner_text("#latency")
            dark.set()
            page.wait_for_selector(".bar[data-action=dark]")
            await_true(page, f"() => ({COLOUR_IN_THE_MIDDLE})()[0] < 60")
            view.close()
            page.wait_for_selector("body.over")
            assert "It has ended" in page.inner_text("#problem")
    finally:
        view.close()
        server.close()
