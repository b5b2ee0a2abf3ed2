"""The table of settings: what the node, the command line and the files say of it is the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from amtnet_ros.cli.run import run
from amtnet_ros.command_options import flag_of, settings_from
from amtnet_ros.errors import UserError
from amtnet_ros.inference.contract import Selection
from amtnet_ros.media.drawing import Style
from amtnet_ros.options import options_of
from amtnet_ros.ros.parameter_files import configuration, reference
from amtnet_ros.settings import GROUPS, TABLE, PipelineOptions, Settings
from amtnet_ros.tubes import LinkerOptions

ROOT = Path(__file__).parents[1]
ON_THE_COMMAND_LINE = [one for group in GROUPS if not group.on_robots for one in group.options]


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys joined by dots, as ROS names parameters."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found


def given(*arguments: str) -> Settings:
    """The settings of `amtnet run` with these arguments."""
    context = run.make_context("run", ["clip.mp4", *arguments])
    own = ("source", "tubes_file", "out", "width", "no_video", "events", "view", "view_host", "view_port", "rerun")
    return settings_from({name: value for name, value in context.params.items() if name not in own})


def test_the_files_made_from_the_table_are_up_to_date() -> None:
    assert (ROOT / "config" / "detector.yaml").read_text(encoding="utf-8") == configuration()
    assert (ROOT / "docs" / "parameters.md").read_text(encoding="utf-8") == reference()


def test_the_configuration_file_lists_every_parameter_with_its_default() -> None:
    listed = flat(yaml.safe_load(configuration())["/**"]["ros__parameters"])
    assert list(listed) == list(TABLE)
    for name, value in listed.items():
        assert TABLE[name].checked([] if value == [""] else value) == TABLE[name].default


@pytest.mark.parametrize("name", TABLE)
def test_every_default_is_allowed_and_described(name: str) -> None:
    setting = TABLE[name]
    assert setting.checked(setting.default) == setting.default
    assert len(setting.text) > 20
    assert setting.text.endswith(".")
    if setting.kind in (int, float):
        assert setting.low is not None
        assert setting.high is not None


def test_the_command_line_offers_every_setting_by_its_name_with_its_default_and_its_range() -> None:
    offered = {flag: parameter for parameter in run.params for flag in parameter.opts}
    for setting in ON_THE_COMMAND_LINE:
        parameter = offered[flag_of(setting.name)]
        assert parameter.default == setting.default, setting.name
        if isinstance(parameter.type, (click.IntRange, click.FloatRange)):
            assert (parameter.type.min, parameter.type.max) == (setting.low, setting.high), setting.name
    assert flag_of("link.max_misses") == "--link-max-misses"


def test_the_command_line_and_the_node_mean_the_same_by_the_same_name() -> None:
    assert given().options == Settings().options
    assert given().style == Settings().style == Style()
    asked = given(
        *("--link-mode", "per_class", "--score-threshold", "0.2", "--link-max-frame-gap", "3", "--classes", "run"),
        *("--classes", "walk", "--no-draw-tentative", "--delta", "4"),
    )
    changes = {"link.mode": "per_class", "score_threshold": 0.2, "link.max_frame_gap": 3, "classes": ["run", "walk"]}
    named = Settings().replaced({**changes, "draw_tentative": False, "delta": 4})
    assert asked.options == named.options
    assert asked.style == named.style == Style(draw_tentative=False)
    assert asked.options.linker.max_frame_gap == 3.0
    assert asked.options.max_frame_gap == 0.5


def test_short_names_mean_the_long_ones() -> None:
    short, long = given("--mode", "per_class", "--threshold", "0.3"), given("--link-mode", "per_class")
    assert short.options.linker.mode == long.options.linker.mode == "per_class"
    assert short.options.score_threshold == 0.3


def test_the_linker_drops_nothing_that_passed_the_pipelines_threshold() -> None:
    options = Settings().replaced({"score_threshold": 0.001, "reset_jump": 7.0}).options
    assert (options.linker.score_threshold, options.linker.reset_jump) == (0.001, 7.0)


def test_defaults_of_the_settings_are_those_of_the_classes() -> None:
    found, expected = Settings().options, PipelineOptions()
    for name in options_of(PipelineOptions):
        assert getattr(found, name) == getattr(expected, name)
    for name, option in options_of(LinkerOptions).items():
        if option.offered:
            assert getattr(found.linker, name) == getattr(LinkerOptions(), name)
    for name in ("score_threshold", "nms_iou", "max_per_class"):
        assert getattr(expected, name) == getattr(Selection(), name)


def test_a_change_that_is_not_allowed_is_told_and_changes_nothing() -> None:
    before = Settings().replaced({"delta": 2})
    with pytest.raises(UserError, match=r"parameter link\.max_tubes: 10001 is not within 1 to 10000"):
        before.replaced({"delta": 3, "link.max_tubes": 10_001})
    assert before["delta"] == 2
