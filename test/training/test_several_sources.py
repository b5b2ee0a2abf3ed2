"""Several data sets in one training: who is drawn how often, what their labels mean, and who is never learnt from."""

import json
from pathlib import Path

import actor_data
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

import plain_trunk  # noqa: E402, F401  (registers the trunk)

from amtnet_ros.data.annotations import UNKNOWN  # noqa: E402
from amtnet_ros.data.cache import VideoCache  # noqa: E402
from amtnet_ros.data.custom import read_custom  # noqa: E402
from amtnet_ros.data.groups import read_field_groups  # noqa: E402
from amtnet_ros.data.people import read_ucf101_people  # noqa: E402
from amtnet_ros.data.samples import MixedSamples, PairOptions, PairSamples  # noqa: E402
from amtnet_ros.errors import UserError  # noqa: E402
from amtnet_ros.media.video import open_source  # noqa: E402
from amtnet_ros.model.checkpoint import load_checkpoint  # noqa: E402
from amtnet_ros.training.config import DataConfig  # noqa: E402
from amtnet_ros.training.sources import hold_out, make_samples, open_dataset, open_sources, relabelled  # noqa: E402
from amtnet_ros.training.trainer import Trainer, pair_options  # noqa: E402


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return actor_data.make_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def cache(actions, cache_folder):
    cache = VideoCache(cache_folder, "dis:ultrafast")
    cache.fill(list(read_custom(actions).videos.values()))
    return cache


@pytest.fixture
def mixed(experiment):
    """An experiment on own actions and the people of UCF-101."""

    def make(actions, labels=None, **data):
        sources = {"custom": {"weight": 1}, "ucf101_people": {"weight": 2, "labels": labels or {}}}
        return experiment(
            data={"deltas": [1, 2], "sources": sources, **data},
            network={"trunk": "plain", "image_size": 128, "streams": ["rgb"]},
            optimiser={"ema": 0.9, "batch_size": 3},
            run={"checkpoint_every": 2},
        )

    return make


def same(a, b):
    images = ((a.rgb, b.rgb), (a.flow, b.flow), (a.boxes, b.boxes), (a.labels, b.labels))
    return (a.name, a.searched) == (b.name, b.searched) and all(np.array_equal(x, y) for x, y in images)


def test_of_successive_samples_each_source_has_its_share_and_its_own_go_on_in_order(actions, cache):
    dataset, options = read_custom(actions), PairOptions(deltas=(1, 2), image_size=128, streams=("rgb",))
    halves = [PairSamples(dataset, dataset.train[k::2], cache, options, seed=4) for k in (0, 1)]
    mixed = MixedSamples(halves, [1, 3], seed=4)
    following, orders = [0, 0], set()
    for cycle in range(4):
        turns = []
        for position in range(4):
            found = mixed.sample(4 * cycle + position)
            which = int(found.name.split(" ")[0] in dataset.train[1::2])
            assert same(found, halves[which].sample(following[which]))
            following[which] += 1
            turns.append(which)
        assert sorted(turns) == [0, 1, 1, 1]
        orders.add(tuple(turns))
    assert len(orders) > 1
    assert same(MixedSamples(halves, [1, 3], seed=4).sample(13), mixed.sample(13))


def test_one_source_alone_gives_the_samples_of_an_experiment_without_sources(actions, cache, experiment, tmp_path):
    drawn = []
    for sources in ({}, {"custom": {"weight": 3}}):
        config = experiment(data={"sources": sources, "deltas": [1, 2]})
        opened = open_sources(config, open_dataset(config.data, tmp_path), tmp_path, tmp_path)
        samples = make_samples(opened, cache, pair_options(config), config.run.seed)
        drawn.append([samples.sample(number) for number in range(3)])
    dataset = read_custom(actions)
    plain = PairSamples(dataset, dataset.train, cache, pair_options(config), config.run.seed)
    for number, (without, alone) in enumerate(zip(*drawn, strict=True)):
        assert same(without, plain.sample(number))
        assert same(alone, plain.sample(number))


def test_labels_mean_what_the_mapping_says_and_nobody_knows_the_rest(small):
    people = read_ucf101_people(small / "ucf101_people")
    renamed = relabelled(people, {"Punch": "hit"}, ("Drumming", "hit"), "ucf101_people")
    found = {x.label for video in renamed.videos.values() for x in video.instances}
    assert found == {0, 1}  # Drumming by its name
    only = relabelled(people, {"Drumming": None}, ("Drumming", "hit"), "ucf101_people")
    assert {x.label for video in only.videos.values() for x in video.instances} == {UNKNOWN}
    with pytest.raises(UserError, match=r"data\.sources, ucf101_people, labels: 'Kick' is no class of it"):
        relabelled(people, {"Kick": "hit"}, ("hit",), "ucf101_people")
    with pytest.raises(UserError, match="'kick' is no class of the network"):
        relabelled(people, {"Punch": "kick"}, ("hit",), "ucf101_people")


def test_sources_that_make_no_sense_are_refused(experiment, small, tmp_path):
    config = experiment(data={"sources": {"kinetics": {"weight": 1}}})
    with pytest.raises(UserError, match=r"data\.sources: no kinetics; there are jhmdb21, ucf101_24, ucf101_people"):
        open_sources(config, open_dataset(config.data, small), small, tmp_path)
    with pytest.raises(ValueError, match="its classes are the network's own"):
        experiment(data={"sources": {"custom": {"weight": 1, "labels": {"go_left": "go_right"}}}})
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        experiment(data={"sources": {"custom": {"weight": 0}}})
    closeups = {"augmentation": {"crop": "actor"}, "network": {"image_size": 112}}
    with pytest.raises(ValueError, match="cannot be learnt from by task classify"):
        experiment(task="classify", data={"sources": {"custom": {"weight": 1}}}, **closeups)


def test_segments_are_the_frames_of_their_part_of_the_file(small, tmp_path):
    people = read_ucf101_people(small / "ucf101_people")
    cache = VideoCache(tmp_path, "dis:ultrafast")
    names = ["ucf101_people/Punch@24", "ucf101_people/Punch@0", "ucf101_people/Drumming@0"]
    cache.fill([people.videos[name] for name in names])
    for name in names:
        segment = people.videos[name]
        frames = list(open_source(str(segment.path)))[segment.first : segment.first + 24]
        assert np.asarray(cache.frames(segment)).shape == (24, 240, 320, 3)
        for found, frame in zip(cache.frames(segment)[:, ::2, ::2], frames, strict=True):
            assert np.abs(found.astype(int) - frame).mean() < 4  # enlarged to the working size
        assert not segment.searched


def test_pairs_with_people_who_come_and_go_are_learnt_from_where_nobody_searched(small, tmp_path, cache):
    people = read_ucf101_people(small / "ucf101_people")
    cache = VideoCache(tmp_path, "dis:ultrafast")
    cache.fill(list(people.videos.values()))
    samples = PairSamples(people, people.train, cache, PairOptions(deltas=(4,), image_size=128), seed=0)
    drawn = [samples.sample(number, ("rgb",)) for number in range(4)]
    assert not any(sample.searched for sample in drawn)
    assert all(len(sample.labels) == 1 for sample in drawn)


def test_a_run_of_two_sources_resumes_exactly(small, actions, mixed, cache_folder, tmp_path):
    Trainer(mixed(actions), tmp_path / "unbroken", small, "cpu").run(cache_folder)
    trainer = Trainer(mixed(actions), tmp_path / "broken", small, "cpu")
    learn = trainer.learner.learn

    def learn_or_break(batch):
        if trainer.learner.step == 3:
            raise KeyboardInterrupt
        return learn(batch)

    trainer.learner.learn = learn_or_break
    with pytest.raises(KeyboardInterrupt):
        trainer.run(cache_folder)
    assert load_checkpoint(tmp_path / "broken" / "checkpoint.pt")["step"] == 2
    assert Trainer(mixed(actions), tmp_path / "broken", small, "cpu").run(cache_folder)
    before, after = (load_checkpoint(tmp_path / name / "checkpoint.pt") for name in ("unbroken", "broken"))
    assert all(torch.equal(value, after["network"][name]) for name, value in before["network"].items())
    assert json.loads(after["experiment"])["data"]["sources"]["ucf101_people"]["weight"] == 2


def test_whole_source_videos_are_held_out(data_root):
    dataset = open_dataset(DataConfig(dataset="jhmdb21"), data_root)
    held_out = hold_out(dataset, 0.1, seed=20)
    groups = {dataset.groups[name] for name in held_out}
    assert groups.isdisjoint(dataset.groups[name] for name in dataset.train if name not in held_out)
    labels = [dataset.videos[name].instances[0].label for name in held_out]
    assert set(labels) == set(range(21))
    assert 0.1 * len(dataset.train) <= len(held_out) <= 0.15 * len(dataset.train)
    assert hold_out(dataset, 0.0, seed=20) == ()


def test_no_group_of_the_field_clips_is_learnt_from(data_root, experiment, tmp_path):
    config = experiment(data={"dataset": "jhmdb21", "root": None, "sources": {"ucf101_people": {"weight": 1}}})
    (source,) = open_sources(config, open_dataset(config.data, data_root), data_root, tmp_path)
    field = {f"ucf101/{name}/{group}" for name, group in read_field_groups(data_root / "field" / "field_groups.txt")}
    groups = {source.dataset.groups[name] for name in source.names}
    assert len(source.names) > 1000
    assert groups.isdisjoint(field)
    assert groups.isdisjoint({"ucf101/PullUps/16", "ucf101/PullUps/18", "ucf101/Archery/2"})
    assert {x.label for video in source.videos() for x in video.instances} == {UNKNOWN}
    assert all(Path(str(video.path)).is_file() for video in source.videos())
