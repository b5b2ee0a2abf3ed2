"""Both engines give the answers of the network evaluated the paper's way: both frames at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import KINDS, LABELS, SIZE, scene, select_by_score, trained_parts

from amtnet_ros.bench.paired_network import PairedNetwork
from amtnet_ros.contracts import Frame, MicroTubes, UInt8
from amtnet_ros.deploy.quantise import frames_of_video
from amtnet_ros.flow.contract import to_working_size
from amtnet_ros.inference.card import list_models, read_card
from amtnet_ros.inference.contract import Engine, Selection
from amtnet_ros.inference.factory import make_engine
from amtnet_ros.model.priors import decode_micro_tubes

SELECTION = Selection(score_threshold=0.1, nms_iou=0.45, max_per_class=10, vote_iou=None)
ENGINES = ("onnxruntime", "torch")


@torch.no_grad()
def paired_answer(kind: str, first: tuple[Frame, UInt8], second: tuple[Frame, UInt8]) -> list:
    """The unsplit form: the heads' convolutions over the concatenated feature maps of both frames."""
    scores, offsets = [], []
    for part in trained_parts(kind):
        maps = []
        for frame, stack in (first, second):
            images = {"rgb": to_working_size(frame.image, (SIZE, SIZE)), "flow": stack}
            tensors = [
                torch.from_numpy(images[s]).permute(2, 0, 1)[None].float()
                if s in part.network.options.streams
                else None
                for s in ("rgb", "flow")
            ]
            maps.append(part.network.features(*tensors))
        rows = part.network.heads.paired(*maps)[0]
        scores.append(rows[:, : len(LABELS) + 1].softmax(-1)[:, 1:].numpy())
        offsets.append(rows[:, len(LABELS) + 1 :])
    width, height = first[0].size
    boxes = decode_micro_tubes(offsets[0], part.network.priors).numpy() * np.array([width, height] * 2)
    return select_by_score(np.mean(scores, axis=0), boxes, 0.1, 0.45, 10)


def answer(engine: Engine, first: tuple[Frame, UInt8], second: tuple[Frame, UInt8]) -> MicroTubes:
    return engine.detect(engine.encode(*first), engine.encode(*second), SELECTION)


@pytest.mark.parametrize("engine_name", ENGINES)
@pytest.mark.parametrize("tiny_folder", KINDS, indirect=True)
def test_an_engine_answers_as_the_unsplit_network(tiny_folder: Path, engine_name: str) -> None:
    engine = make_engine(tiny_folder, "cpu", engine=engine_name, threads=1)
    frames = scene(1, 3), scene(2, 5)
    found = answer(engine, *frames)
    compare(found, paired_answer(tiny_folder.name, *frames))
    assert (found.frames, found.stamps) == ((3, 5), (3 * 33_333_333, 5 * 33_333_333))
    assert found.image_size == (200, 150)
    engine.close()


@pytest.mark.parametrize("engine_name", ENGINES)
@pytest.mark.parametrize("tiny_folder", KINDS, indirect=True)
def test_an_engine_answers_as_the_unsplit_network_on_a_real_clip(
    tiny_folder: Path, engine_name: str, data_root: Path
) -> None:
    engine = make_engine(tiny_folder, "cpu", engine=engine_name, threads=1)
    frames = frames_of_video(engine.card, real_clip(data_root), 2)
    compare(answer(engine, *frames), paired_answer(tiny_folder.name, *frames))
    engine.close()


def compare(found: MicroTubes, expected: list) -> None:
    """expected: as `paired_answer` gives it."""
    assert len(expected) > 3, "the frames show nothing, so nothing is compared"
    assert found.labels.tolist() == [label for label, _, _ in expected]
    np.testing.assert_allclose(found.scores, [score for _, score, _ in expected], atol=1e-4)
    width, height = found.image_size
    clipped = np.clip([boxes for _, _, boxes in expected], 0, [width, height] * 2)
    np.testing.assert_allclose(found.boxes, clipped, atol=0.05)


def real_clip(data_root: Path) -> Path:
    return min((data_root / "jhmdb21" / "videos" / "walk").glob("*.mp4"))


@pytest.mark.parametrize("engine_name", ENGINES)
def test_class_scores_are_the_softmax_without_the_background(tiny_folder: Path, engine_name: str) -> None:
    engine = make_engine(tiny_folder, "cpu", engine=engine_name, threads=1)
    found = answer(engine, scene(1), scene(2, 1))
    assert found.class_scores.shape == (len(found), len(LABELS))
    np.testing.assert_array_equal(found.class_scores[np.arange(len(found)), found.labels], found.scores)
    assert (found.class_scores.sum(axis=1) < 1).all()
    assert (found.class_scores > 0).all()
    engine.close()


@pytest.mark.parametrize("engine_name", ENGINES)
def test_a_batch_of_cameras_gives_each_its_own_answer(tiny_folder: Path, engine_name: str) -> None:
    engine = make_engine(tiny_folder, "cpu", engine=engine_name, threads=1)
    sizes = ((200, 150), (64, 48), (333, 500))
    before = [scene(i, 0, size) for i, size in enumerate(sizes)]
    after = [scene(10 + i, 1, size) for i, size in enumerate(sizes)]
    together = [engine.encode_batch([f for f, _ in frames], [s for _, s in frames]) for frames in (before, after)]
    for i in (2, 0, 1):
        batched = engine.detect(together[0][i], together[1][i], SELECTION)
        alone = answer(engine, before[i], after[i])
        assert batched.image_size == sizes[i]
        assert batched.labels.tolist() == alone.labels.tolist()
        np.testing.assert_allclose(batched.scores, alone.scores, atol=1e-5)
        np.testing.assert_allclose(batched.boxes, alone.boxes, atol=0.05)
    engine.close()


@pytest.mark.parametrize("engine_name", ENGINES)
def test_any_two_frames_make_a_pair(tiny_folder: Path, engine_name: str) -> None:
    engine = make_engine(tiny_folder, "cpu", engine=engine_name, threads=1)
    frames = [scene(i, i) for i in range(4)]
    encoded = [engine.encode(*frame) for frame in frames]
    for t, later in ((0, 3), (1, 2), (0, 0)):
        found = engine.detect(encoded[t], encoded[later], SELECTION)
        expected = paired_answer("sum", frames[t], frames[later])
        assert found.frames == (t, later)
        np.testing.assert_allclose(found.scores, [score for _, score, _ in expected], atol=1e-4)
    engine.close()


@pytest.mark.parametrize("model", sorted(list_models()))
@pytest.mark.parametrize("engine_name", ENGINES)
def test_an_engine_answers_as_a_bundled_model_unsplit_on_a_real_clip(
    model: str, engine_name: str, data_root: Path
) -> None:
    folder = list_models()[model]
    card = read_card(folder)
    frames = frames_of_video(card, real_clip(data_root), 2)
    expected = PairedNetwork(folder, card, torch.device("cpu")).as_released(*frames, SELECTION)
    engine = make_engine(model, "cpu", engine=engine_name, precision=card.precision, threads=1)
    found = answer(engine, *frames)
    assert len(expected) > 0, "nothing is compared"
    assert found.labels.tolist() == expected.labels.tolist()
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-3)
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.5)
    engine.close()
