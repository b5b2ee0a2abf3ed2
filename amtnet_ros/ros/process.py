"""Life of a process that runs one node: arguments, signals, an orderly end."""

from __future__ import annotations

import contextlib
import gc
import signal
import sys
import threading
from collections.abc import Callable, Iterator

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from amtnet_ros.errors import UserError

_WAKE_UP = 0.1  # seconds between two looks at whether a signal came


@contextlib.contextmanager
def ros(arguments: list[str]) -> Iterator[threading.Event]:
    """rclpy, started with these arguments, while inside; yields an event that SIGINT or SIGTERM sets.

    rclpy's own handlers are not installed: they end the context at once, and nothing could be said any more. Raises
    UserError where ROS cannot make sense of the arguments.
    """
    stop = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda *_: stop.set())
    with clear_errors():
        rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    try:
        yield stop
    finally:
        rclpy.try_shutdown()
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def clear_errors() -> Iterator[None]:
    """Errors in ROS arguments as UserError."""
    try:
        yield
    except Exception as error:  # rcl's errors are of several kinds, most of them private
        raise UserError(f"the ROS arguments make no sense: {' '.join(str(error).split())}") from error


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
    """The exit code of a program's body. What the user did wrong becomes one line on stderr and exit code 2.

    The process is to end after this.
    """
    try:
        return body()
    except UserError as error:
        print(f"{name}: {error}", file=sys.stderr)
    finally:
        gc.freeze()  # or the interpreter searches all that is left for garbage, which takes most of the time to exit
    return 2
