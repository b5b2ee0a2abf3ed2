"""`amtnet eval --model`: real clips through the bundled model, kept, resumed, linked again."""

import json
import shutil

import pytest
from click.testing import CliRunner

from amtnet_ros.cli.eval import evaluate
from amtnet_ros.data.custom import read_custom
from amtnet_ros.data.jhmdb21 import read_jhmdb21
from amtnet_ros.errors import UserError
from amtnet_ros.evaluation.detections import detect_video
from amtnet_ros.evaluation.linking import link_video
from amtnet_ros.inference.card import list_models, read_card
from amtnet_ros.inference.factory import make_engine
from amtnet_ros.media.video import open_source
from amtnet_ros.pipeline import Pipeline, PipelineOptions
from amtnet_ros.tubes import TubeAssembler


@pytest.fixture(scope="module")
def model():
    models = list_models()
    if not models:
        pytest.skip("no model is bundled in models/")
    return min(models.values(), key=lambda folder: sum(file.stat().st_size for file in folder.iterdir()))


@pytest.fixture(scope="module")
def ground_truth(model, data_root, tmp_path_factory):
    """The two shortest test clips of J-HMDB-21 as a file of one's own actions."""
    dataset = read_jhmdb21(data_root, 1)
    shortest = sorted(dataset.test, key=lambda name: dataset.videos[name].n_frames)[:2]
    labels = read_card(model).labels
    videos = {}
    for name in shortest:
        video = dataset.videos[name]
        (action,) = video.instances
        label = dataset.classes[action.label]
        videos[name] = {
            "path": str(video.path.resolve()),
            "width": video.size[0],
            "height": video.size[1],
            "n_frames": video.n_frames,
            "split": "test",
            "actions": [
                {"label": label if label in labels else labels[0], "first_frame": 0, "boxes": action.boxes.tolist()}
            ],
        }
    file = tmp_path_factory.mktemp("clips") / "clips.json"
    file.write_text(json.dumps({"format": "amtnet-actions", "version": 1, "classes": list(labels), "videos": videos}))
    return file


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("kept")


def run(*arguments):
    done = CliRunner().invoke(evaluate, [str(argument) for argument in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def first(model, ground_truth, kept):
    arguments = [
        "--model",
        model,
        "--dataset",
        ground_truth,
        "--detections",
        kept,
        "--device",
        "cpu",
        "--precision",
        "fp32",
        "--json",
    ]
    return arguments, run(*arguments)


def test_a_model_is_scored_with_all_figures(first, model):
    _, result = first
    assert (result["videos"], result["actions"]) == (2, 2)
    assert set(result["video_map"]) == {"road", "act"}
    assert 0 <= result["frame_map"]["0.5"] <= 100
    assert [observed["share"] for observed in result["online"]["observed"]] == [k / 10 for k in range(1, 11)]
    assert result["online"]["observed"][-1]["accuracy"] == result["accuracy"]
    assert result["made_with"]["digest"] == read_card(model).digest


def test_the_figures_are_recorded_in_the_card_on_request(first, model, tmp_path):
    arguments, result = first
    copy = shutil.copytree(model, tmp_path / model.name)
    run(*(copy if argument == model else argument for argument in arguments), "--record")
    card = read_card(copy)
    recorded = {name.removeprefix(f"clips delta {card.delta} "): value for name, value in card.accuracy.items()}
    assert recorded["accuracy %"] == round(result["accuracy"], 1)
    assert recorded["video-mAP@0.5 road %"] == round(result["video_map"]["road"]["0.5"], 1)


def test_an_interrupted_run_makes_only_what_is_missing(first, kept):
    arguments, result = first
    files = sorted(kept.glob("*.npz"))
    assert len(files) == 2
    untouched = files[1].stat().st_mtime_ns
    files[0].unlink()
    assert run(*arguments) == result
    assert files[0].exists()
    assert files[1].stat().st_mtime_ns == untouched


def test_kept_detections_are_scored_without_the_model_and_linked_anew(first, ground_truth, kept, tmp_path):
    _, result = first
    alone = ["--dataset", ground_truth, "--detections", kept, "--json"]
    assert run(*alone) == result
    assert run(*alone, "--limit", 1)["videos"] == 1
    assert run(*alone, "--trim")["made_with"]["trim"] == "yes"
    relinked = run(*alone, "--link", "mode=actor", "--tubes-out", tmp_path / "tubes.jsonl")
    assert relinked["made_with"]["linker mode"] == "actor"
    assert relinked["frame_map"] == result["frame_map"]
    done = CliRunner().invoke(
        evaluate, ["tubes", "--gt", str(ground_truth), "--tubes", str(tmp_path / "tubes.jsonl"), "--json"]
    )
    scored = json.loads(done.stdout)
    assert scored["tubes"] == relinked["tubes"]
    assert scored["accuracy"] == relinked["accuracy"]


def test_detections_of_another_setting_are_not_mixed_in(first):
    arguments, _ = first
    with pytest.raises(UserError, match="holds detections with delta"):
        run(*arguments, "--delta", 7)


def test_kept_detections_link_to_the_tubes_of_the_live_pipeline(model, ground_truth):
    dataset = read_custom(ground_truth)
    video = dataset.videos[dataset.test[0]]
    engine = make_engine(model, "cpu")
    for delta in (1, 4):
        pipeline = Pipeline(engine, PipelineOptions(delta=delta, score_threshold=0.01))
        live = TubeAssembler()
        for index, image in enumerate(open_source(str(video.path))):
            for update in pipeline.push(round(index * 1e9 / pipeline.card.rate), image):
                live.add(update)
        for update in pipeline.finish():
            live.add(update)
        detections = detect_video(pipeline, video, delta)
        linked = link_video(video.name, video.n_frames, detections, pipeline.options.linker)

        def content(tubes):
            return sorted((tube.label, tube.score, tube.frames.tolist(), tube.boxes.tolist()) for tube in tubes)

        assert content(linked.tubes) == content(live.tubes())
