"""What another camera, or another light, makes of a clip: one draw for all of its pictures."""

from __future__ import annotations

import cv2
import numpy as np

from amtnet_ros.contracts import Float32, UInt8

GREY, COARSE, NOISY, COVERED = 0.15, 0.3, 0.2, 0.3
"""How often a clip is grey, of few pixels, noisy, partly covered."""
_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])


def disturb(rng: np.random.Generator, pictures: UInt8) -> UInt8:
    """Other colours, fewer pixels, noise, something in front: (T, s, s, 3) uint8 → the same shape."""
    count, side = pictures.shape[:2]
    flat = cv2.transform(pictures.reshape(count * side, side, 3), draw_colours(rng)).reshape(pictures.shape)
    if rng.random() < COARSE:
        small = int(side * rng.uniform(0.25, 0.8))
        coarse = [cv2.resize(picture, (small, small), interpolation=cv2.INTER_AREA) for picture in flat]
        flat = np.stack([cv2.resize(picture, (side, side), interpolation=cv2.INTER_LINEAR) for picture in coarse])
    if rng.random() < NOISY:
        noise = rng.standard_normal(flat.shape, dtype=np.float32) * rng.uniform(2, 12)
        flat = np.clip(flat + noise, 0, 255).astype(np.uint8)
    if rng.random() < COVERED:
        height, width = (int(side * share) for share in rng.uniform(0.15, 0.45, 2))
        top, left = int(rng.integers(side - height)), int(rng.integers(side - width))
        flat[:, top : top + height, left : left + width] = rng.integers(0, 256, 3)
    return np.asarray(flat, dtype=np.uint8)


def draw_colours(rng: np.random.Generator) -> Float32:
    """A linear change of RGB in 0..255, (3, 4): contrast, brightness, saturation, hue, and the light's colour."""
    saturation = 0.0 if rng.random() < GREY else rng.uniform(0.4, 1.6)
    angle, contrast, brightness = rng.uniform(-0.35, 0.35), np.exp(rng.uniform(-0.45, 0.4)), rng.uniform(-40, 40)
    turn = saturation * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    in_yiq = np.eye(3)
    in_yiq[1:, 1:] = turn
    light = np.diag(np.exp(rng.normal(0, 0.06, 3)))
    matrix = contrast * light @ np.linalg.inv(_TO_YIQ) @ in_yiq @ _TO_YIQ
    offset = 128 - 128 * contrast + brightness
    return np.column_stack([matrix, np.full(3, offset)]).astype(np.float32)
