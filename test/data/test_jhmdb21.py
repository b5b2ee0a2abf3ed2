"""J-HMDB-21: the facts its description states, boxes against masks, and both layouts."""

import gzip
import json
import shutil
from fractions import Fraction

import av
import numpy as np
import pytest
from scipy.io import savemat

from amtnet_ros.data.cache import VideoCache
from amtnet_ros.data.jhmdb21 import boxes_of_masks, read_jhmdb21, read_masks
from amtnet_ros.errors import UserError
from amtnet_ros.media.video import open_source


@pytest.fixture(scope="module")
def splits(data_root):
    return [read_jhmdb21(data_root, split) for split in (1, 2, 3)]


def test_the_pack_holds_what_its_description_says(splits):
    videos = splits[0].videos
    assert (len(videos), sum(v.n_frames for v in videos.values())) == (928, 31838)
    assert splits[0].classes == tuple(sorted(splits[0].classes))
    assert len(splits[0].classes) == 21
    assert sum(v.n_frames == 40 for v in videos.values()) == 475
    assert (min(v.n_frames for v in videos.values()), max(v.n_frames for v in videos.values())) == (15, 40)
    counts = np.bincount([v.instances[0].label for v in videos.values()])
    assert (counts.min(), counts.max()) == (36, 55)
    table = [
        (len(d.train), len(d.test), *(sum(d.videos[n].n_frames for n in names) for names in (d.train, d.test)))
        for d in splits
    ]
    assert table == [(660, 268, 22712, 9126), (658, 270, 22881, 8957), (663, 265, 22793, 9045)]
    tested = np.sum([[name in d.test for name in videos] for d in splits], axis=0)
    assert ((tested == 0).sum(), (tested > 1).sum()) == (364, 210)


def test_every_clip_has_one_actor_with_a_box_within_the_picture_in_every_frame(splits):
    for video in splits[0].videos.values():
        (instance,) = video.instances
        assert instance.frames.tolist() == list(range(video.n_frames))
        assert instance.boxes.dtype == np.float32
        assert (instance.boxes[:, :2] >= 0).all()
        assert (instance.boxes[:, 2:] <= video.size).all()
        assert (instance.boxes[:, :2] < instance.boxes[:, 2:]).all()
        assert video.path.is_file()


def test_boxes_are_the_bounds_of_the_masks(splits, data_root):
    for name in list(splits[0].videos)[::40]:
        masks = read_masks(data_root, name)
        assert masks.shape == (splits[0].videos[name].n_frames, 240, 320)
        expected = []
        for mask in masks:
            y, x = np.nonzero(mask)
            expected.append([x.min(), y.min(), x.max() + 1, y.max() + 1])
        assert np.array_equal(splits[0].videos[name].instances[0].boxes, expected)
        assert np.array_equal(boxes_of_masks(masks), expected)


def test_masks_and_splits_that_do_not_exist_are_named(data_root):
    with pytest.raises(UserError, match=r"masks\.npz: no masks of clip 'nobody'"):
        read_masks(data_root, "nobody")
    with pytest.raises(UserError, match="splits 1, 2 and 3, not 4"):
        read_jhmdb21(data_root, 4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"annotations\.json\.gz is missing; give its folder by --data-root"),
        (b"not gzip", "cannot be read"),
        (gzip.compress(b'{"classes": [', mtime=0), "not JSON"),
        (gzip.compress(b"[]", mtime=0), "not the J-HMDB-21 annotations"),
        (
            gzip.compress(b'{"classes": ["a"], "clips": {"c": {"boxes": [[0, 0, 1]]}}}', mtime=0),
            "not the J-HMDB-21 annotations",
        ),
        (
            gzip.compress(
                json.dumps({"classes": ["a"], "clips": {"c": {"boxes": [[0, 0, 1, 1]], "n_frames": 2}}}).encode(),
                mtime=0,
            ),
            "clip c has 2 frames and 1 boxes",
        ),
    ],
)
def test_a_pack_that_is_missing_or_damaged_is_named(tmp_path, content, message):
    if content is not None:
        (tmp_path / "annotations.json.gz").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_jhmdb21(tmp_path, 1)


def write_avi(path, images, slots):
    """MPEG-4 Part 2 in AVI as the originals are: 25 frames a second, and empty packets in the slots left out."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 320, 240, "yuv420p", 4_000_000
        stream.codec_context.time_base = Fraction(1, 25)
        for image, slot in zip(images, slots, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = slot
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.fixture(scope="module")
def original(splits, data_root, tmp_path_factory):
    """Two clips of the pack laid out as the original downloads."""
    root = tmp_path_factory.mktemp("original")
    (root / "splits").mkdir()
    chosen = [
        next(n for n in splits[0].train if n in splits[1].test),
        next(n for n in reversed(splits[0].test) if n in splits[1].train),
    ]
    for name in chosen:
        video = splits[0].videos[name]
        action = splits[0].classes[video.instances[0].label]
        for folder in (root / "puppet_mask" / action / name, root / "ReCompress_Videos" / action):
            folder.mkdir(parents=True)
        masks = read_masks(data_root, name).transpose(1, 2, 0)
        savemat(root / "puppet_mask" / action / name / "puppet_mask.mat", {"part_mask": masks}, do_compression=True)
        slots = [i + i // 6 for i in range(video.n_frames)]
        write_avi(root / "ReCompress_Videos" / action / f"{name}.avi", open_source(str(video.path)), slots)
        for split, dataset in enumerate(splits, start=1):
            role = 1 if name in dataset.train else 2
            (root / "splits" / f"{action}_test_split{split}.txt").write_text(f"{name}.avi {role} \n")
    return root, chosen


def test_the_original_layout_gives_the_packs_annotations(original, splits, data_root):
    root, chosen = original
    for split in (1, 2):
        dataset = read_jhmdb21(root, split)
        assert dataset.train == tuple(n for n in chosen if n in splits[split - 1].train)
        assert dataset.test == tuple(n for n in chosen if n in splits[split - 1].test)
    for name in chosen:
        assert np.array_equal(dataset.videos[name].instances[0].boxes, splits[0].videos[name].instances[0].boxes)
        assert dataset.classes[dataset.videos[name].instances[0].label] in splits[0].classes
        assert np.array_equal(read_masks(root, name), read_masks(data_root, name))


def test_frames_of_an_original_are_counted_by_decoding(original, splits, tmp_path):
    root, (name, _) = original
    video = read_jhmdb21(root, 1).videos[name]
    header = open_source(str(video.path)).frames
    assert header > video.n_frames, "the file must have the originals' empty packets, or it tests nothing"
    cache = VideoCache(tmp_path, "dis:ultrafast")
    cache.fill([video])
    decoded, expected = cache.frames(video), np.stack(list(open_source(str(splits[0].videos[name].path))))
    assert decoded.shape == expected.shape
    # Each frame is the one it should be, and not its neighbour.
    own, before, after = (
        np.abs(decoded[1:-1].astype(np.int16) - expected[1 + k : len(expected) - 1 + k]).mean(axis=(1, 2, 3))
        for k in (0, -1, 1)
    )
    assert own.max() < 8
    for neighbour in (before, after):
        differs = neighbour > 4
        assert differs.mean() > 0.3, "the clip must move, or it tests nothing"
        assert (own[differs] < neighbour[differs]).all()


def test_a_folder_of_images_stands_for_a_missing_avi(original):
    root, (name, _) = original
    video = read_jhmdb21(root, 1).videos[name]
    action = video.path.parent.name
    hidden = video.path.with_suffix(".hidden")
    shutil.move(video.path, hidden)
    (root / "Rename_Images" / action / name).mkdir(parents=True)
    try:
        assert read_jhmdb21(root, 1).videos[name].path == root / "Rename_Images" / action / name
    finally:
        shutil.move(hidden, video.path)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("splits/clap_test_split1.txt", b"c.avi 3\n", r"clap_test_split1\.txt, line 1: expected `CLIP\.avi 1`"),
        ("splits/clap_test_split1.txt", None, r"clap_test_split1\.txt: cannot be read .* unpack splits\.zip"),
        ("puppet_mask/clap/c/puppet_mask.mat", b"no", r"puppet_mask\.mat: not a readable puppet mask"),
        ("puppet_mask/clap/c/puppet_mask.mat", {"x": np.ones(3)}, r"puppet_mask\.mat: holds no 'part_mask'"),
        (
            "puppet_mask/clap/c/puppet_mask.mat",
            {"part_mask": np.zeros((240, 320, 2), np.uint8)},
            r"puppet_mask\.mat: the mask of frame 0 is empty",
        ),
    ],
)
def test_what_is_wrong_with_an_original_is_named(tmp_path, file, content, message):
    (tmp_path / "splits").mkdir()
    (tmp_path / "puppet_mask" / "clap" / "c").mkdir(parents=True)
    (tmp_path / "splits" / "clap_test_split1.txt").write_text("c.avi 1\n")
    if isinstance(content, dict):
        savemat(tmp_path / file, content)
    elif content is not None:
        (tmp_path / file).write_bytes(content)
    else:
        (tmp_path / file).unlink()
    with pytest.raises(UserError, match=message):
        read_jhmdb21(tmp_path, 1)
