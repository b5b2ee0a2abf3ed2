"""The viewer: listens only while somebody looks at its page, and shows what the detector finds."""

from __future__ import annotations

import json
import re
import signal
from http.client import HTTPConnection
from typing import Any

import cv2
import numpy as np
import pytest
from stage import Stage, wait_until, walker

TOPICS = {"/image", "/action_tubes", "/detector/latency"}


def test_it_listens_only_while_somebody_looks_and_shows_image_and_tubes(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for screen in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(screen, raising=False)
    stage.detector()
    viewer = stage.run("viewer", "--image", "image")
    port = int(re.search(r"View: http://127\.0\.0\.1:(\d+)", viewer.wait_for("View: "))[1])
    wait_until(lambda: "viewer" in stage.node.get_node_names(), "the viewer is found")

    def heard() -> set[str]:
        topics_of = stage.node.get_subscriber_names_and_types_by_node
        return {name for name, _ in stage.used_by("viewer", topics_of)} & TOPICS

    assert heard() == set()
    facts, picture = (HTTPConnection("127.0.0.1", port, timeout=60) for _ in range(2))
    facts.request("GET", "/facts")
    told = facts.getresponse()
    wait_until(lambda: heard() == TOPICS, "it listens")
    points: list[Any] = []

    def has_a_bar() -> bool:
        line = told.readline()
        found = json.loads(line[6:]) if line.startswith(b"data: ") else {"points": []}
        points.extend(found["points"])
        return any(point[4] == "ACTIVE" for point in points)

    stage.film(walker(), until=has_a_bar)
    picture.request("GET", "/picture")
    stream = picture.getresponse()
    stage.film(walker(), until=lambda: len(stage.tubes) > 30)
    while not (line := stream.readline()).startswith(b"Content-Length"):
        pass
    stream.readline()
    data = stream.read(int(line.split(b":")[1]))
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape == (240, 320, 3)

    for connection in (facts, picture):
        connection.close()
    told.close()
    stream.close()
    wait_until(lambda: heard() == set(), "it listens no more")
    assert viewer.end(signal.SIGHUP) == 0, viewer.output
