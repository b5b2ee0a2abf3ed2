"""Image pairs with known flow, real textures set in motion, and the errors by which engines are compared on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from amtnet_ros.contracts import Bool, Float32, UInt8

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FlowSample:
    """A pair of images and the true flow between them.

    kind: "translation", "rotation", "zoom", "affine" or "layers".
    previous, current: (h, w, 3) uint8 RGB.
    flow: (h, w, 2) float32, pixels, from `previous` to `current`.
    valid: (h, w) bool, false where the motion leaves the image.
    visible: (h, w) bool, false where, besides, another layer covers the pixel in `current`.
    """

    kind: str
    previous: UInt8
    current: UInt8
    flow: Float32
    valid: Bool
    visible: Bool


def _translation(rng: np.random.Generator, centre: Float64) -> Float64:
    return _about(np.eye(2), centre, _shift(rng, 7))


def _rotation(rng: np.random.Generator, centre: Float64) -> Float64:
    angle = rng.uniform(0.005, 0.04) * rng.choice([-1, 1])  # up to 8 px in the corners of 320x240
    c, s = np.cos(angle), np.sin(angle)
    return _about(np.array([[c, -s], [s, c]]), centre, np.zeros(2))


def _zoom(rng: np.random.Generator, centre: Float64) -> Float64:
    factor = 1 + rng.uniform(0.005, 0.04) * rng.choice([-1, 1])
    return _about(factor * np.eye(2), centre, np.zeros(2))


def _affine(rng: np.random.Generator, centre: Float64) -> Float64:
    return _about(np.eye(2) + rng.uniform(-0.025, 0.025, (2, 2)), centre, _shift(rng, 3))


def _about(matrix: Float64, centre: Float64, shift: Float64) -> Float64:
    """The 3x3 transform x -> centre + matrix (x - centre) + shift."""
    whole = np.eye(3)
    whole[:2, :2] = matrix
    whole[:2, 2] = centre + shift - matrix @ centre
    return whole


def _shift(rng: np.random.Generator, longest: float) -> Float64:
    angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 1) * longest
    return length * np.array([np.cos(angle), np.sin(angle)])


MOTIONS: dict[str, Callable[[np.random.Generator, Float64], Float64]] = {
    "translation": _translation,
    "rotation": _rotation,
    "zoom": _zoom,
    "affine": _affine,
}
KINDS = (*MOTIONS, "layers")


def samples(textures: Sequence[UInt8], per_kind: int = 8, noise: float = 1.5, seed: int = 0) -> list[FlowSample]:
    """The synthetic set: `per_kind` pairs of each of KINDS, displacements up to about 8 px at 320x240.

    textures: images (h, w, 3) uint8 RGB, all of one size; frames of real clips. noise: standard deviation of the
    camera noise added to each image independently, in grey levels.
    """
    rng = np.random.default_rng(seed)

    def texture() -> UInt8:
        return textures[int(rng.integers(len(textures)))]

    def noisy(image: UInt8) -> UInt8:
        return np.asarray(np.clip(np.rint(image + rng.normal(0, noise, image.shape)), 0, 255), np.uint8)

    result = []
    for kind in KINDS:
        for _ in range(per_kind):
            s = _layers(texture(), texture(), rng) if kind == "layers" else _single(kind, texture(), rng)
            result.append(FlowSample(s.kind, noisy(s.previous), noisy(s.current), s.flow, s.valid, s.visible))
    return result


def noise_texture(rng: np.random.Generator, height: int = 240, width: int = 320) -> UInt8:
    """A random RGB texture with detail at several scales, where no real one is at hand."""
    octaves = [rng.standard_normal((max(height // s, 2), max(width // s, 2), 3)) for s in (4, 10, 25)]
    total = sum(cv2.resize(octave, (width, height), interpolation=cv2.INTER_CUBIC) for octave in octaves)
    return np.asarray(np.clip(128 + 40 * total, 0, 255), dtype=np.uint8)


def _single(kind: str, texture: UInt8, rng: np.random.Generator) -> FlowSample:
    height, width = texture.shape[:2]
    motion = MOTIONS[kind](rng, np.array([width - 1, height - 1]) / 2)
    at_start, at_end = _halves(motion)
    flow = _field(motion, height, width)
    inside = _inside(flow)
    return FlowSample(
        kind, _sample(texture, at_start), _sample(texture, at_end), flow.astype(np.float32), inside, inside
    )


def _layers(background: UInt8, foreground: UInt8, rng: np.random.Generator) -> FlowSample:
    """An object in front of a background, each in its own affine motion."""
    height, width = background.shape[:2]
    centre = np.array([width - 1, height - 1]) / 2
    back, front = _about(np.eye(2), centre, _shift(rng, 3)), _affine(rng, centre)
    front[:2, 2] += _shift(rng, 5)
    mask = _blob(rng, height, width)

    def render(which: int) -> tuple[UInt8, Bool]:
        cover = _sample(mask, _halves(front)[which], cv2.BORDER_CONSTANT) > 127
        scene = np.where(
            cover[..., None], _sample(foreground, _halves(front)[which]), _sample(background, _halves(back)[which])
        )
        return scene, cover

    (previous, cover), (current, cover_after) = render(0), render(1)
    flow = np.where(cover[..., None], _field(front, height, width), _field(back, height, width))
    inside = _inside(flow)
    y, x = np.mgrid[0:height, 0:width]
    tx, ty = (np.rint(c).astype(int) for c in (x + flow[..., 0], y + flow[..., 1]))
    hidden = ~cover & cover_after[ty.clip(0, height - 1), tx.clip(0, width - 1)]
    return FlowSample("layers", previous, current, flow.astype(np.float32), inside, inside & ~hidden)


def _halves(motion: Float64) -> tuple[Float64, Float64]:
    """`motion` as a step from the middle of the interval to its end, and one from its start to the middle.

    Both images are sampled from the texture half a motion away, so that interpolation blurs them alike.
    """
    linear = motion.copy()
    values, vectors = np.linalg.eig(linear.astype(np.complex128))
    if np.linalg.cond(vectors) > 1e8:  # a pure translation is defective
        half = np.eye(3)
        half[:2, 2] = motion[:2, 2] / 2
    else:
        half = (vectors @ np.diag(np.sqrt(values)) @ np.linalg.inv(vectors)).real
    return half, np.asarray(np.linalg.inv(motion) @ half)


def _sample(texture: UInt8, to_texture: Float64, border: int = cv2.BORDER_REFLECT_101) -> UInt8:
    """The image whose pixel x shows `texture` at to_texture(x); same size as the texture."""
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    height, width = texture.shape[:2]
    return np.asarray(
        cv2.warpAffine(texture, to_texture[:2], (width, height), flags=flags, borderMode=border), np.uint8
    )


def _field(motion: Float64, height: int, width: int) -> Float64:
    """(h, w, 2) displacement of each pixel under a 3x3 affine motion."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    points = np.stack([x, y, np.ones_like(x)], axis=-1)
    return np.asarray(points @ motion[:2].T - points[..., :2])


def _inside(flow: Float64) -> Bool:
    height, width = flow.shape[:2]
    y, x = np.mgrid[0:height, 0:width]
    tx, ty = x + flow[..., 0], y + flow[..., 1]
    return np.asarray((tx >= 0) & (tx <= width - 1) & (ty >= 0) & (ty <= height - 1))


def _blob(rng: np.random.Generator, height: int, width: int) -> UInt8:
    """A random smooth-edged polygon, 0 or 255: the outline of an object."""
    angles = np.sort(rng.uniform(0, 2 * np.pi, 9))
    radii = rng.uniform(0.18, 0.38, 9) * height
    middle = np.array([width, height]) * rng.uniform(0.35, 0.65, 2)
    points = middle + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [points.astype(np.int32)], (255,))
    return mask


def end_point_error(flow: Float32, truth: Float32, where: Bool | None = None) -> float:
    """Mean length of the difference of two fields (h, w, 2), in their pixels; over `where` (h, w), else everywhere."""
    error = np.linalg.norm(flow - truth, axis=-1)
    return float(error.mean() if where is None else error[where].mean())


def photometric_error(previous: UInt8, current: UInt8, flow: Float32) -> float:
    """Mean difference in grey levels between `previous` and `current` fetched back along the flow.

    previous, current: (h, w) uint8 grey. Pixels that the flow leads out of the image do not count. Low is good, but not
    all: a field that tears an image apart to match grey levels scores well too.
    """
    height, width = previous.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = x + flow[..., 0], y + flow[..., 1]
    fetched = cv2.remap(current, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return float(np.abs(fetched.astype(np.float32) - previous)[inside].mean())
