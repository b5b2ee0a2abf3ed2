"""Small clips that tests make themselves: a textured square moves over a textured background, to the left or right."""

import json

import cv2
import numpy as np

from amtnet_ros.media.video import VideoWriter

SIZE = (160, 120)
CLASSES = ("go_left", "go_right")


def texture(rng, width, height, middle):
    noise = cv2.GaussianBlur(rng.uniform(-1, 1, (height, width, 3)).astype(np.float32), (0, 0), 2)
    return np.clip(middle + 60 * noise / np.abs(noise).max(), 0, 255).astype(np.uint8)


def make_clip(path, label, seed, n_frames=12):
    """Write one clip; returns its boxes. The square moves by 3 pixels a frame."""
    rng = np.random.default_rng(seed)
    background, square = texture(rng, *SIZE, middle=70), texture(rng, 50, 60, middle=190)
    y, start = int(rng.integers(5, 50)), int(rng.integers(5, 15))
    boxes = []
    with VideoWriter(path) as writer:
        for t in range(n_frames):
            x = start + 3 * t if label else 100 - start - 3 * t
            image = background.copy()
            image[y : y + 60, x : x + 50] = square
            writer.write(image, t / 30)
            boxes.append([x, y, x + 50, y + 60])
    return boxes


def make_actions(folder, per_class=2, n_frames=12):
    """A data set of one's own actions, per_class clips of each class to train on and one to test; returns its file."""
    videos = {}
    for label, action in enumerate(CLASSES):
        for k in range(per_class + 1):
            name = f"{action}/{k}"
            path = folder / f"{action}_{k}.mp4"
            boxes = make_clip(path, label, seed=10 * label + k, n_frames=n_frames)
            videos[name] = {
                "path": path.name,
                "width": SIZE[0],
                "height": SIZE[1],
                "n_frames": n_frames,
                "split": "train" if k < per_class else "test",
                "actions": [{"label": action, "first_frame": 0, "boxes": boxes}],
            }
    file = folder / "actions.json"
    file.write_text(json.dumps({"format": "amtnet-actions", "version": 1, "classes": CLASSES, "videos": videos}))
    return file
