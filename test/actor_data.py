"""A small copy of the data that the actor stream learns from, in the same layout: coloured squares that move."""

import gzip
import json

import numpy as np
from action_clips import texture

from amtnet_ros.media.video import VideoWriter

SIZE = (160, 120)
LABELS = ("jump", "walk", "wave")
N_FRAMES = 33
SEGMENT = 24


def make_pictures(seed, count):
    """Frames and boxes (x1 y1 x2 y2) of a square that moves over a textured background."""
    rng = np.random.default_rng(seed)
    background, square = texture(rng, *SIZE, middle=70), texture(rng, 40, 50, middle=190)
    x, y, speed = rng.integers(5, 40), rng.integers(5, 60), rng.uniform(-0.1, 2)
    pictures, boxes = [], []
    for t in range(count):
        left = int(np.clip(x + speed * t, 0, SIZE[0] - 40))
        image = background.copy()
        image[y : y + 50, left : left + 40] = square
        pictures.append(image)
        boxes.append([left, int(y), left + 40, int(y) + 50])
    return pictures, boxes


def write_video(path, pictures):
    with VideoWriter(path) as writer:
        for t, picture in enumerate(pictures):
            writer.write(picture, t / 30)


def make_data(root):
    """jhmdb21, ucf101_24, ucf101_people and the field's groups under `root`; returns it."""
    _make_jhmdb(root / "jhmdb21")
    _make_ucf(root / "ucf101_24")
    _make_people(root / "ucf101_people")
    (root / "field").mkdir()
    (root / "field" / "field_groups.txt").write_text("WalkingWithDog 2\nPunch 3\nDrumming 1\n")
    return root


def _make_jhmdb(folder):
    clips = {}
    for number in range(12):
        label = number % 3
        name = f"film{number // 3}_{LABELS[label]}_u_nm_np1_fr_goo_{number}"
        pictures, boxes = make_pictures(number, N_FRAMES)
        write_video(folder / "videos" / LABELS[label] / f"{name}.mp4", pictures)
        roles = ["test" if number >= 9 else "train"] * 3
        clips[name] = {"class": LABELS[label], "label": label, "width": SIZE[0], "height": SIZE[1], "splits": roles}
        clips[name] |= {"n_frames": N_FRAMES, "boxes": boxes}
    content = json.dumps({"classes": LABELS, "clips": clips}).encode()
    (folder / "annotations.json.gz").write_bytes(gzip.compress(content))


def _make_ucf(folder):
    videos = [("WalkingWithDog", 1), ("WalkingWithDog", 2), ("WalkingWithDog", 3), ("Surfing", 1), ("Fencing", 1)]
    classes = sorted({name for name, _ in videos})
    database = {}
    for name, group in videos:
        video = f"{name}/v_{name}_g{group:02}_c01"
        pictures, boxes = make_pictures(100 + 10 * group + len(name), 80)
        if name != "Fencing":  # annotated, but its video is not there
            write_video(folder / "videos" / f"{video}.mp4", pictures)
        sides = [[x1, y1, x2 - x1, y2 - y1] for x1, y1, x2, y2 in boxes]
        tube = {"label": classes.index(name), "sf": 20, "ef": 60, "boxes": sides[20:60]}
        database[video] = {"label": classes.index(name), "numf": 80, "annotations": [tube]}
    content = json.dumps({"classes": classes, "trainvideos": list(database), "db": database}).encode()
    (folder / "annotations.json.gz").write_bytes(gzip.compress(content))
    (folder / "testlist01.txt").write_text("")


def _make_people(folder):
    """Segments of Punch (groups 1 to 3; the last is kept out) and Drumming, one person each in frames 2 to 23."""
    names = ["Drumming", "Punch"]
    segments = [(1, 0, 1), (1, 1, 2), (1, 2, 3), (0, 0, 2)]
    pictures = {name: [] for name in names}
    boxes = []
    for number, (file, _, _) in enumerate(segments):
        found, of_person = make_pictures(200 + number, SEGMENT)
        pictures[names[file]] += found
        boxes += of_person[2:]
    for name in names:
        write_video(folder / f"{name}.mp4", pictures[name])
    (folder / "names.json").write_text(json.dumps({"classes": names}))
    np.savez(
        folder / "segments.npz",
        seg_file=np.uint8([file for file, _, _ in segments]),
        seg_pos=np.uint16([position for _, position, _ in segments]),
        seg_clip=np.array([f"v_{names[file]}_g{group:02}_c01" for file, _, group in segments]),
        kept_out=np.array([file == 1 and group == 3 for file, _, group in segments]),
        tube_segment=np.int32(range(len(segments))),
        tube_start=np.uint8([2] * len(segments)),
        tube_stop=np.uint8([SEGMENT] * len(segments)),
        tube_boxes=np.float16(boxes),
    )
