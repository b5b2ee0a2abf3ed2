"""Every encoding against the formula that defines it, and everything that can be wrong with an image."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from broken_pictures import KINDS
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from amtnet_ros.errors import UserError
from amtnet_ros.media.encodings import convert
from amtnet_ros.ros import conversions
from amtnet_ros.ros.conversions import ENCODINGS, image_from_rgb, rgb_from_compressed, rgb_from_image

COLOURS = np.array([[200, 40, 90], [10, 220, 60], [128, 128, 128], [255, 255, 255], [30, 20, 240], [0, 0, 0]], np.uint8)
TILE = 8
HEIGHT, WIDTH = 2 * TILE, 3 * TILE
PICTURE = COLOURS.reshape(2, 3, 3).repeat(TILE, axis=0).repeat(TILE, axis=1)


def ycbcr(rgb: np.ndarray) -> np.ndarray:
    """(…, 3) Y, Cb, Cr of ITU-R BT.601, 8 bits, studio range, in float64."""
    red, green, blue = np.moveaxis(rgb.astype(np.float64) / 255, -1, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return np.stack([16 + 219 * luma, 128 + 224 * (blue - luma) / 1.772, 128 + 224 * (red - luma) / 1.402], axis=-1)


def encoded(name: str, rgb: np.ndarray, bigendian: bool = False) -> np.ndarray:
    """(rows, bytes of a row) uint8: the picture as this encoding defines it."""
    base, bits = (name[:-2], 16) if name.endswith("16") else (name.removesuffix("8"), 8)
    grey = rgb @ np.array([0.299, 0.587, 0.114])
    if base.startswith("bayer"):
        samples = np.empty(rgb.shape[:2])
        for position, letter in enumerate(base[-4:]):
            y, x = divmod(position, 2)
            samples[y::2, x::2] = rgb[y::2, x::2, "rgb".index(letter)]
        samples = samples[..., None]
    elif base in ("mono", "8UC1"):
        samples = grey[..., None]
    elif base in ("yuyv", "yuv422_yuy2", "uyvy", "yuv422"):
        yuv = ycbcr(rgb)
        chroma = np.where(np.arange(rgb.shape[1])[None, :] % 2 == 0, yuv[..., 1], yuv[..., 2])
        samples = np.stack(
            [yuv[..., 0], chroma] if base.startswith(("yuyv", "yuv422_")) else [chroma, yuv[..., 0]], axis=-1
        )
    elif base in ("nv12", "nv21"):
        yuv = ycbcr(rgb)
        pair = yuv[::2, ::2, 1:] if base == "nv12" else yuv[::2, ::2, :0:-1]
        samples = np.concatenate([yuv[..., 0], pair.reshape(-1, rgb.shape[1])])[..., None]
    else:
        order = {"8UC3": "bgr", "8UC4": "bgra"}.get(base, base)
        full = np.concatenate([rgb, np.full((*rgb.shape[:2], 1), 255, np.uint8)], axis=-1)
        samples = full[..., ["rgba".index(letter) for letter in order]]
    if bits == 16:
        # 100 of 65535 away from the 8-bit value, so that the two bytes of a sample differ.
        exact = np.clip(np.asarray(samples, dtype=np.float64) * 257 - 100, 0, None)
        wide = np.rint(exact).astype(">u2" if bigendian else "<u2")
        return wide.reshape(len(wide), -1).view(np.uint8)
    return np.rint(samples).astype(np.uint8).reshape(len(samples), -1)


def message(name: str, rgb: np.ndarray = PICTURE, padding: int = 0, bigendian: bool = False) -> Image:
    rows = np.pad(encoded(name, rgb, bigendian), ((0, 0), (0, padding)), constant_values=77)
    height, width = rgb.shape[:2]
    return Image(
        height=height, width=width, encoding=name, step=rows.shape[1], is_bigendian=bigendian, data=rows.tobytes()
    )


def expected(name: str) -> np.ndarray:
    if name.startswith(("mono", "8UC1")):
        grey = np.rint(PICTURE @ np.array([0.299, 0.587, 0.114]))
        return np.repeat(grey[..., None], 3, axis=-1)
    return PICTURE.astype(np.float64)


def interior(image: np.ndarray) -> np.ndarray:
    """The pixels that have only their own colour around them: Bayer and subsampled chroma blur the seams."""
    inside = np.arange(TILE)[(np.arange(TILE) >= 2) & (np.arange(TILE) < TILE - 2)]
    rows = np.concatenate([inside + TILE * tile for tile in range(2)])
    columns = np.concatenate([inside + TILE * tile for tile in range(3)])
    return image[np.ix_(rows, columns)]


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize("name", ENCODINGS)
def test_encoding_becomes_rgb(name: str, padding: int) -> None:
    if ENCODINGS[name].depth == 2 and padding:
        padding = 6
    got = rgb_from_image(message(name, padding=padding))
    assert got.shape == PICTURE.shape
    assert got.dtype == np.uint8
    tolerance = 2 if name.startswith(("yu", "uyvy", "nv")) else 1 if name.startswith("mono") else 0
    np.testing.assert_allclose(interior(got), interior(expected(name)), atol=tolerance)


@pytest.mark.parametrize("name", [name for name, encoding in ENCODINGS.items() if encoding.depth == 2])
def test_16_bit_samples_honour_endianness(name: str) -> None:
    little, big = message(name), message(name, bigendian=True)
    assert bytes(little.data) != bytes(big.data)
    np.testing.assert_array_equal(rgb_from_image(little), rgb_from_image(big))


def test_16_bit_samples_are_rounded_to_8() -> None:
    values = np.array([[0, 128, 129, 257, 385, 386, 65407, 65535]], dtype="<u2")
    image = Image(height=1, width=8, encoding="mono16", step=16, data=values.tobytes())
    want = np.rint(values.astype(np.float64) / 65535 * 255)
    np.testing.assert_array_equal(rgb_from_image(image)[..., 0], want)


def test_the_last_row_may_come_without_padding() -> None:
    image = message("rgb8", padding=7)
    image.data = image.data[:-7]
    np.testing.assert_array_equal(rgb_from_image(image), PICTURE)


def test_there_and_back_is_the_same() -> None:
    header = Header(frame_id="eye")
    sent = image_from_rgb(PICTURE, header)
    assert (sent.encoding, sent.step, sent.header.frame_id) == ("rgb8", WIDTH * 3, "eye")
    np.testing.assert_array_equal(rgb_from_image(sent), PICTURE)


@pytest.mark.parametrize("name", sorted(conversions.BRIDGED))
def test_cv_bridge_and_the_built_in_converter_agree(name: str) -> None:
    bridge = conversions._cv_bridge()
    if bridge is None:
        pytest.skip("cv_bridge is not installed, or does not work with this NumPy and OpenCV")
    for width, height in ((64, 48), (63, 47)):
        noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
        image = message(name, noise)
        assert conversions._bridge_reads(image, ENCODINGS[name])
        ours = convert(image, ENCODINGS[name])
        np.testing.assert_array_equal(ours, bridge.imgmsg_to_cv2(image, "rgb8"))


@pytest.mark.parametrize(("padding", "cut", "bigendian"), [(5, 0, False), (5, 5, False), (0, 0, True)])
def test_cv_bridge_is_not_given_what_it_misreads(padding: int, cut: int, bigendian: bool) -> None:
    image = message("bgr8", padding=padding)
    image.is_bigendian = bigendian
    image.data = image.data[: len(image.data) - cut]
    assert not conversions._bridge_reads(image, ENCODINGS["bgr8"])
    np.testing.assert_array_equal(rgb_from_image(image), PICTURE)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"encoding": "yuv411"}, "unknown encoding 'yuv411'"),
        ({"encoding": ""}, "unknown encoding ''"),
        ({"encoding": "rgb8\n"}, r"unknown encoding 'rgb8\n'"),
        ({"encoding": "\x1b[2J"}, r"unknown encoding '\x1b[2J'"),
        ({"encoding": "x" * 10_000}, "unknown encoding 'xxxxx"),
        ({"step": 71, "data": bytes(10**6)}, "step 71, but a row"),
        ({"width": 2**32 - 1, "step": 2**32 - 1}, "a row of 4294967295 pixels"),
        ({"height": 2**32 - 1}, "needs 309237645240"),
        ({"encoding": "16UC1"}, "'16UC1' is a depth image"),
        ({"encoding": "32FC1"}, "'32FC1' is a depth image"),
        ({"width": 0}, "zero size, 0x16"),
        ({"height": 0}, "zero size, 24x0"),
        ({"data": b""}, "no bytes of data"),
        ({"data": bytes(1000)}, "1000 bytes of data, but 24x16 'rgb8' with step 72 needs 1152"),
        ({"step": 71}, "step 71, but a row of 24 pixels of 'rgb8' has 72 bytes"),
        ({"step": 0}, "step 0"),
        ({"encoding": "nv12", "height": 15}, "24x15 cannot be 'nv12'"),
        ({"encoding": "yuyv", "width": 23}, "23x16 cannot be 'yuyv'"),
    ],
)
def test_a_broken_image_is_refused_in_one_line(changes: dict[str, object], words: str) -> None:
    image = message("rgb8")
    for name, value in changes.items():
        setattr(image, name, value)
    with pytest.raises(UserError) as caught:
        rgb_from_image(image)
    assert words in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_compressed_images_are_decoded(suffix: str) -> None:
    _, data = cv2.imencode(suffix, PICTURE[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 100])
    got = rgb_from_compressed(CompressedImage(format=f"rgb8; {suffix[1:]} compressed bgr8", data=data.tobytes()))
    assert np.abs(interior(got).astype(int) - interior(PICTURE)).max() <= (0 if suffix == ".png" else 6)


@pytest.mark.parametrize("name", [name for name in ENCODINGS if name.startswith("bayer")])
def test_a_mosaic_that_was_compressed_has_colours(name: str) -> None:
    """As image_transport sends a Bayer camera's images."""
    raw = message(name)
    kind = np.uint16 if name.endswith("16") else np.uint8
    mosaic = np.frombuffer(bytes(raw.data), kind).reshape(HEIGHT, WIDTH)
    packed = cv2.imencode(".png", mosaic)[1].tobytes()
    got = rgb_from_compressed(CompressedImage(format=f"{name}; png compressed ", data=packed))
    assert np.abs(interior(got).astype(int) - interior(PICTURE)).max() <= 1


def test_what_was_no_mosaic_when_it_was_compressed_stays_as_it_is() -> None:
    packed = cv2.imencode(".png", PICTURE[..., ::-1])[1].tobytes()
    got = rgb_from_compressed(CompressedImage(format="bayer_rggb8; png compressed bgr8", data=packed))
    np.testing.assert_array_equal(got, PICTURE)


PNG = cv2.imencode(".png", np.full((4, 4), 700, np.uint16))[1].tobytes()


def test_a_compressed_mono_image_of_16_bits_is_a_picture() -> None:
    assert rgb_from_compressed(CompressedImage(format="mono16; png compressed", data=PNG)).shape == (4, 4, 3)


@pytest.mark.parametrize(
    ("format_", "data", "words"),
    [
        ("jpeg", b"", "no bytes of data"),
        ("jpeg", b"\xff\xd8nonsense", "10 bytes cannot be decoded"),
        ("16UC1; compressedDepth png", b"abc", "is a depth image"),
        ("16UC1; png compressed", PNG, "is a depth image; the detector needs the colour or mono image beside it"),
        (" 16UC1 ; png compressed ", PNG, "is a depth image"),
        ("32FC1; tiff compressed", PNG, "is a depth image"),
        ("compressedDepth", PNG, "is a depth image"),
        ("8UC2; png compressed", PNG, "does not say what its two channels mean"),
        *((suffix[1:], make(60_000, 60_000), "bytes cannot be decoded") for suffix, make in KINDS.items()),
    ],
)
def test_a_broken_compressed_image_is_refused_in_one_line(format_: str, data: bytes, words: str) -> None:
    with pytest.raises(UserError) as caught:
        rgb_from_compressed(CompressedImage(format=format_, data=data))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
