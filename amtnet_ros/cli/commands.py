"""The commands of `amtnet`: one file a subcommand, imported only when it is called, so that `run` needs no torch."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

from amtnet_ros import __version__
from amtnet_ros.libraries import missing

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("amtnet_ros.cli.run:run", "Find action tubes in a video or a webcam, without ROS."),
    "archive": ("amtnet_ros.cli.archive:archive_command", "Find action tubes in many recordings, and keep them."),
    "find": ("amtnet_ros.cli.find:find", "Find moments in an archive by what somebody does."),
    "actions": ("amtnet_ros.cli.actions:actions", "List and search the actions that can be asked for by name."),
    "models": ("amtnet_ros.cli.models:models", "List the models, their actions and figures."),
    "demo": ("amtnet_ros.cli.demo:demo", "Watch a clip, or a webcam, through the ROS 2 nodes."),
    "tubes": ("amtnet_ros.cli.tubes:tubes", "Recorded tubes for other tools: COCO, MOT Challenge, AVA."),
    "annotate": ("amtnet_ros.cli.annotate:annotate", "Boxes for your own actions: found, imported, reviewed."),
    "record": ("amtnet_ros.cli.record:record", "Clips of your own actions, by a key, from a camera or a ROS topic."),
    "teach": ("amtnet_ros.cli.teach:teach", "Teach a model new actions from some clips, in a minute or two."),
    "add-people": ("amtnet_ros.cli.add_people:add_people", "Give a model people to tell new actions from."),
    "export": ("amtnet_ros.cli.export:export", "Make a model folder of a checkpoint."),
    "quantise": ("amtnet_ros.cli.export:quantise", "Give a model an int8 form, for CPUs."),
    "add-actor": ("amtnet_ros.cli.export:add_actor", "Give a model a stream that looks at one person at a time."),
    "shrink": ("amtnet_ros.cli.export:shrink", "Store a model's weights in fewer bits."),
    "train": ("amtnet_ros.cli.train:train", "Train a network from a YAML experiment."),
    "eval": ("amtnet_ros.cli.eval:evaluate", "Score a model on a data set or in the field, or tubes from a file."),
    "flow": ("amtnet_ros.cli.flow:flow", "Optical flow of a video, to look at or to keep."),
    "doctor": ("amtnet_ros.cli.doctor:doctor", "What is installed, which devices work, do the models load."),
    "bench": ("amtnet_ros.cli.bench:bench", "Measure how fast the parts are."),
}


class LazyGroup(click.Group):
    """A group that lists its commands without importing them.

    table: name → (module:attribute of the click command, one line of help).
    """

    def __init__(self, *args: Any, table: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.table:
            return None
        module, attribute = self.table[cmd_name][0].split(":")
        try:
            command: click.Command = getattr(importlib.import_module(module), attribute)
        except ImportError as error:
            raise missing(error, f"{ctx.command_path} {cmd_name}") from error
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_line) for name, (_, help_line) in self.table.items()])


@click.group(cls=LazyGroup, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="amtnet")
def amtnet() -> None:
    """Online action tubes: Two-Stream AMTnet."""
