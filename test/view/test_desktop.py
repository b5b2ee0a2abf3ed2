"""The page's address is said; a browser opens where there is a screen, and nowhere else."""

from __future__ import annotations

import urllib.request
import webbrowser

import pytest

from amtnet_ros.view.live import LiveView
from amtnet_ros.view.server import shown


@pytest.mark.parametrize(("screen", "opens"), [("", False), (":0", True)])
def test_a_browser_opens_the_page_where_there_is_a_screen(
    screen: str, opens: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    visited: list[str] = []

    def browse(address: str) -> None:
        visited.append(address)
        with urllib.request.urlopen(f"{address}/facts") as answer:
            answer.read()  # it looks until the stream ends

    monkeypatch.setenv("DISPLAY", screen)
    monkeypatch.setenv("WAYLAND_DISPLAY", "")
    monkeypatch.setattr(webbrowser, "open", browse)
    with shown(LiveView("camera"), "127.0.0.1", None, said.append) as view:
        assert view.is_watched == opens, "whoever was called in is waited for"
    (line,) = said
    assert line.startswith("View: http://127.0.0.1:")
    assert visited == ([line.removeprefix("View: ")] if opens else [])
