"""Images for the tests of flow."""

import cv2
import numpy as np

from amtnet_ros.bench.synthetic_flow import noise_texture


def texture(seed=0, height=300, width=400):
    """A random RGB texture with detail at several scales."""
    return noise_texture(np.random.default_rng(seed), height, width)


def pair(u, v, seed=0, height=240, width=320):
    """Two views of a texture that moves by whole pixels (u, v) between them."""
    scene = texture(seed, height + 60, width + 60)
    y, x = 30 - v, 30 - u
    return (
        np.ascontiguousarray(scene[30 : 30 + height, 30 : 30 + width]),
        np.ascontiguousarray(scene[y : y + height, x : x + width]),
    )


def brightened(image, grey_levels):
    """The image under more light."""
    return cv2.add(image, np.full_like(image, grey_levels))
