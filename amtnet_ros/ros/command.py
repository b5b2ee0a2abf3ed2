"""Programs of one command, with options of their own beside those of ROS."""

from __future__ import annotations

import sys

import click
from rclpy.utilities import remove_ros_args

from amtnet_ros.errors import UserError
from amtnet_ros.program import INTERRUPTED
from amtnet_ros.ros.process import clear_errors, run, utf8

_CLEAR_LINE = "\r\x1b[2K" if sys.stdout.isatty() else ""


def say(line: str) -> None:
    """Print a line, also where another process draws its progress in the same terminal: that is drawn again."""
    print(_CLEAR_LINE + line, flush=True)


def run_command(command: click.Command) -> int:
    """The exit code of a command, run with the process's arguments less those meant for ROS."""

    def body() -> int:
        given = {utf8(word): word for word in sys.argv}
        with clear_errors():
            arguments = [given.get(word, word) for word in remove_ros_args(list(map(utf8, sys.argv)))[1:]]
        try:
            return int(command.main(arguments, prog_name=command.name, standalone_mode=False) or 0)
        except click.ClickException as error:
            raise UserError(error.format_message()) from error
        except click.Abort:
            return INTERRUPTED

    return run(command.name or "", body)
