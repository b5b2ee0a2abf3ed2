"""`amtnet bench transport`: how many of a camera's images arrive, by their size and by the way they are sent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Literal

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from amtnet_ros.bench.machine import machine
from amtnet_ros.command_options import json_option
from amtnet_ros.errors import UserError

Way = Literal["best effort", "reliable", "compressed"]
WAYS: tuple[Way, ...] = ("best effort", "reliable", "compressed")
FAREWELL = 2.0  # seconds for the last images


@click.command("transport")
@click.option("--size", "sizes", multiple=True, default=("1920x1080", "2560x1440", "3840x2160"), show_default=True)
@click.option("--rate", type=click.FloatRange(1, 120), default=5.0, show_default=True, help="Images a second.")
@click.option("--images", type=click.IntRange(5), default=60, show_default=True, help="How many are sent.")
@json_option
def bench_transport(sizes: tuple[str, ...], rate: float, images: int, as_json: bool) -> None:
    """Images from a player to a subscriber in another process, neither of which does anything else.

    The middleware is that of the environment; set FASTDDS_DEFAULT_PROFILES_FILE (Humble, Jazzy:
    FASTRTPS_DEFAULT_PROFILES_FILE) to measure with a profile.
    """
    from amtnet_ros.ros.domain import free_domain
    from amtnet_ros.ros.fastdds import known

    os.environ.update(ROS_DOMAIN_ID=str(free_domain()), ROS_AUTOMATIC_DISCOVERY_RANGE="LOCALHOST")
    profile = next((os.environ[name] for name in known() if os.environ.get(name)), "none")
    rows = []
    with tempfile.TemporaryDirectory() as folder, Console(stderr=True).status("sending"):
        for size in sizes:
            video = _video(Path(folder), size, images)
            rows += [{"size": size, "way": way, **_received(video, way, rate)} for way in WAYS]
    report = {"bench": "transport", "machine": machine(), "load": round(os.getloadavg()[0], 1), "rate": rate}
    report |= {"profile": Path(profile).name, "sent": images, "ways": rows}
    if as_json:
        click.echo(json.dumps(report, indent=2))
        return
    table = Table(
        "size", "way", "arrived", "lost", title=f"{images} images at {rate:g} Hz, profile {report['profile']}"
    )
    for row in rows:
        table.add_row(row["size"], row["way"], str(row["arrived"]), str(row["lost"]))
    Console().print(table)


def _video(folder: Path, size: str, images: int) -> Path:
    """A video of plain colours, which costs a player little. Raises UserError for what is no size."""
    from amtnet_ros.media.video import VideoWriter

    try:
        width, height = (int(part) for part in size.split("x"))
    except ValueError:
        raise UserError(f"--size {size}: must look like 640x480") from None
    path = folder / f"{size}.mp4"
    with VideoWriter(path, 30.0) as writer:
        for number in range(images):
            writer.write(np.full((height, width, 3), 4 * number % 256, dtype=np.uint8), number / 30)
    return path


def _received(video: Path, way: Way, rate: float) -> dict[str, Any]:
    """Play a video to ourselves: how many of its images arrived, and how many the middleware says were lost."""
    import rclpy
    from rclpy.qos import QoSProfile
    from sensor_msgs.msg import CompressedImage, Image

    from amtnet_ros.ros.qos import EVERY_IMAGE, RESULTS, SubscriptionEventCallbacks

    rclpy.init()
    node = rclpy.create_node("bench_transport")
    counts = {"arrived": 0, "lost": 0}

    def on_image(message: Image | CompressedImage) -> None:
        counts["arrived"] += 1

    def on_lost(event: Any) -> None:
        counts["lost"] = event.total_count

    kind, topic = (CompressedImage, "/sent/compressed") if way == "compressed" else (Image, "/sent")
    qos: QoSProfile = RESULTS if way == "reliable" else EVERY_IMAGE
    events = SubscriptionEventCallbacks(message_lost=on_lost)
    node.create_subscription(kind, topic, on_image, qos, event_callbacks=events)
    command = [sys.executable, "-m", "amtnet_ros.ros.player", str(video), "--topic", "/sent", "--rate", f"{rate:g}"]
    if way == "compressed":
        command.append("--compressed")
    player = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = float("inf")
    while time.monotonic() < end:
        rclpy.spin_once(node, timeout_sec=0.1)
        if player.poll() is not None and end == float("inf"):
            end = time.monotonic() + FAREWELL
    node.destroy_node()
    rclpy.shutdown()
    return counts
