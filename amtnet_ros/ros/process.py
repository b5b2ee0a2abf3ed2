"""Life of a process that runs one node: arguments, signals, an orderly end."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from amtnet_ros.errors import UserError, quoted
from amtnet_ros.program import INTERRUPTED, Interruption, begin, code_of, end_at_once, kept_signals, on_ending

_LAST_DOMAIN = 232
_WAKE_UP = 0.1  # seconds between two looks at whether a signal came


@contextlib.contextmanager
def ros(arguments: list[str]) -> Iterator[Interruption]:
    """rclpy, started with these arguments, while inside; yields an event that SIGINT, SIGTERM or SIGHUP sets.

    rclpy's own handlers are not installed: they end the context at once, and nothing could be said any more. Raises
    UserError where ROS cannot make sense of the arguments or of its domain, or cannot write its log.
    """
    stop = Interruption()
    _check_domain()
    with kept_signals():
        on_ending(stop.ask)
        signal.signal(signal.SIGINT, stop.ask)  # also where a shell's background job is to ignore it
        with clear_errors():
            rclpy.init(args=[utf8(word) for word in arguments], signal_handler_options=SignalHandlerOptions.NO)
        try:
            yield stop
        finally:
            rclpy.try_shutdown()


def _check_domain() -> None:
    """Raises UserError for a domain that there is not: of one beyond DDS's ports Fast DDS ends the process itself."""
    given = os.environ.get("ROS_DOMAIN_ID", "")
    if given and not (given.isdecimal() and int(given) <= _LAST_DOMAIN):
        raise UserError(f"ROS_DOMAIN_ID is {quoted(given)}; set it to a number from 0 to {_LAST_DOMAIN}, or not at all")


@contextlib.contextmanager
def clear_errors() -> Iterator[None]:
    """Errors in ROS arguments, and of ROS's log, as UserError."""
    try:
        yield
    except Exception as error:  # rcl's errors are of several kinds, most of them private
        said = " ".join(str(error).split())
        if "logging" in said:
            raise UserError(f"ROS cannot write its log: {_log_trouble()}") from error
        raise UserError(f"the ROS arguments make no sense: {said}") from error


def _log_trouble() -> str:
    """What is wrong with the folder that ROS wants to write its log to, as rcl_logging_interface chooses it."""
    variables = os.environ
    if folder := variables.get("ROS_LOG_DIR"):
        named = "ROS_LOG_DIR"
    elif folder := variables.get("ROS_HOME"):
        named, folder = "ROS_HOME", f"{folder}/log"
    elif folder := variables.get("HOME"):
        named, folder = "HOME", f"{folder}/.ros/log"
    else:
        return "neither HOME nor ROS_LOG_DIR is set; set ROS_LOG_DIR to a folder that can be written"
    return f"{folder} (by {named}) cannot be made or written; set ROS_LOG_DIR to a folder that can be"


def utf8(word: str) -> str:
    """A word that ROS takes: a file's name that is not UTF-8 is one argument of ours that it only passes by."""
    return word.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def spin(node: Node, stop: threading.Event, done: Callable[[], bool] = lambda: False) -> None:
    """Serve the node's callbacks until stop is set or done() says so."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        while rclpy.ok() and not stop.is_set() and not done():
            executor.spin_once(timeout_sec=_WAKE_UP)
    finally:
        executor.remove_node(node)
        executor.shutdown()


def run(name: str, body: Callable[[], int]) -> int:
    """The exit code of a program's body. What the user did wrong becomes one line on stderr and exit code 2, Ctrl-C
    exit code 130.

    The process is to end after this.
    """
    begin()
    try:
        return code_of(body())
    except UserError as error:
        print(f"{name}: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        end_at_once()
        gc.freeze()  # or the interpreter searches all that is left for garbage, which takes most of the time to exit
    return 2
