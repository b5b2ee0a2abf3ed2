"""Options that several commands share, and those that come from the table of settings."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from amtnet_ros.options import Option
from amtnet_ros.settings import GROUPS, TABLE, Settings
from amtnet_ros.view.server import HOST, PORT

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

SHORT = {"score_threshold": "threshold", "link.mode": "mode"}
"""Settings that have a short name besides their own: --threshold, --mode."""


def flag_of(name: str) -> str:
    """A setting's name on the command line: link.max_misses → --link-max-misses."""
    return "--" + name.replace(".", "-").replace("_", "-")


def setting_option(setting: Option, short: str = "") -> Decorator:
    """A setting as an option of a command, with its default, range and text.

    short: a second name for it, under which the command also receives it; else the command receives it under its own
    name, with underscores for dots.
    """
    flag, argument = flag_of(setting.name), short or setting.name.replace(".", "_")
    flags = [flag, flag_of(short)] if short else [flag]
    if setting.kind is bool:
        flags = [f"{flag}/--no-{flag.removeprefix('--')}"]
    return click.option(
        *flags,
        argument,
        type=_type_of(setting),
        multiple=setting.kind is tuple,
        default=setting.default,
        show_default=setting.default != (),
        help=setting.text + (f"  [{setting.unit}]" if setting.unit else ""),
    )


def settings_options(without: Collection[type] = (), **defaults: Any) -> Decorator:
    """Every setting that is not for robots only, as an option; the first of the table is the first in the help.

    without: owners of groups that the command has no use for. defaults: the command's own, by the setting's name.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for group in reversed(GROUPS):
            for setting in reversed([] if group.on_robots or group.owner in without else group.options):
                setting = replace(setting, default=defaults.get(setting.name, setting.default))
                command = setting_option(setting, SHORT.get(setting.name, ""))(command)
        return command

    return decorate


def settings_from(given: Mapping[str, Any]) -> Settings:
    """The settings that the command line asks for, by the names under which click hands them over."""
    named = {SHORT.get(name, name.replace(".", "_")): name for name in TABLE}
    return Settings().replaced({named[argument]: value for argument, value in given.items()})


def _type_of(setting: Option) -> Any:
    if setting.choices:
        return click.Choice(setting.choices)
    if setting.kind is int:
        return click.IntRange(_whole(setting.low), _whole(setting.high))
    if setting.kind is float:
        return click.FloatRange(setting.low, setting.high)
    return str if setting.kind is tuple else setting.kind


def _whole(bound: float | None) -> int | None:
    return None if bound is None else int(bound)


def page_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Where a live page is served: --view-host, --view-port."""
    command = click.option(
        "--view-port",
        type=click.IntRange(1, 65535),
        help=f"Port of the live page.  [default: {PORT}, or another where that is taken]",
    )(command)
    return click.option(
        "--view-host",
        default=HOST,
        show_default=True,
        help="Address at which the live page listens; 0.0.0.0: at all of them, for other machines. Nobody is asked for "
        "a password.",
    )(command)


model_option = click.option("--model", default="light", show_default=True, help="Name or folder of the model.")
device_option = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda:N or tensorrt:N.")
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object.")
precision_option = setting_option(TABLE["precision"])
data_root_option = click.option(
    "--data-root",
    envvar="AMTNET_DATA",
    type=click.Path(path_type=Path),
    default=Path("../shared/data"),
    show_default=True,
    help="Folder of the data sets (also AMTNET_DATA).",
)
