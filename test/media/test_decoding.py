"""Still pictures out of bytes that may be anything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from broken_pictures import KINDS

from amtnet_ros.media.pictures import decoded

PICTURE = np.random.default_rng(1).integers(0, 256, (24, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff", ".webp", ".ppm"])
def test_a_picture_is_decoded_as_rgb(suffix: str) -> None:
    lossless = [cv2.IMWRITE_WEBP_QUALITY, 101] if suffix == ".webp" else []
    data = cv2.imencode(suffix, PICTURE[..., ::-1], lossless)[1].tobytes()
    np.testing.assert_array_equal(decoded(data), PICTURE)


@pytest.mark.parametrize("side", [60_000, 20_000, 6_000])
@pytest.mark.parametrize("suffix", KINDS)
def test_a_few_bytes_that_claim_an_absurd_size_are_no_picture(suffix: str, side: int) -> None:
    assert decoded(KINDS[suffix](side, side)) is None


def test_what_they_claim_costs_no_memory() -> None:
    program = (
        "import resource\n"
        "from broken_pictures import KINDS\n"
        "from amtnet_ros.media.pictures import decoded\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for make in KINDS.values():\n"
        "    for side in (65_000, 30_000, 16_000, 9_000):\n"
        "        assert decoded(make(side, side)) is None\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    folder = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 20_000, "kB; a decoded picture of 16,000x16,000 has 750,000"


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"no picture", bytes(1000)])
def test_what_is_no_picture_is_none(data: bytes) -> None:
    assert decoded(data) is None


def test_a_black_picture_is_a_picture_though_it_has_few_bytes() -> None:
    black = np.zeros((1080, 1920, 3), np.uint8)
    for data in (
        cv2.imencode(".jpg", black, [cv2.IMWRITE_JPEG_QUALITY, 10, cv2.IMWRITE_JPEG_OPTIMIZE, 1])[1],
        cv2.imencode(".jpg", black, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1],
        cv2.imencode(".png", black)[1],
        cv2.imencode(".webp", black, [cv2.IMWRITE_WEBP_QUALITY, 101])[1],
    ):
        np.testing.assert_array_equal(decoded(data.tobytes()), black)
