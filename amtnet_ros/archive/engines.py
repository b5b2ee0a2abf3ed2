"""Several workers that share the work: here as processes, or wherever Ray runs.

Both hand one task at a time to each worker and keep nothing but what is to be done; who gets which, and what becomes of
a worker that dies, is theirs.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import active_children, get_context, parent_process
from typing import Any, Protocol

from amtnet_ros.archive.places import one_line
from amtnet_ros.archive.worker import Setup, Worker
from amtnet_ros.errors import UserError
from amtnet_ros.libraries import library
from amtnet_ros.program import kept_signals, on_ending


class Workers(Protocol):
    """count: how many there are. name: of what runs them."""

    count: int
    name: str

    def run(self, method: str, tasks: Iterable[Any]) -> Iterator[Any]:
        """What a method of `Worker` returns for each task, in whatever order it comes.

        A task whose worker died too often brings nothing. Raises UserError as the method does, and where no worker is
        left.
        """
        ...

    def close(self) -> None:
        """Stop them."""
        ...


class ThisProcess:
    """No other worker but oneself."""

    count, name = 1, "this process"

    def __init__(self, setup: Setup) -> None:
        self._worker = Worker(setup)

    def run(self, method: str, tasks: Iterable[Any]) -> Iterator[Any]:
        """See `Workers`."""
        return map(getattr(self._worker, method), tasks)

    def close(self) -> None:
        """See `Workers`."""


class Processes:
    """Processes of this machine."""

    name = "processes"

    def __init__(self, setup: Setup, count: int) -> None:
        self.count = count
        self._pool = ProcessPoolExecutor(count, get_context("spawn"), initializer=_begin, initargs=(setup,))

    def run(self, method: str, tasks: Iterable[Any]) -> Iterator[Any]:
        """See `Workers`. One that dies takes the others with it."""
        futures = [self._pool.submit(_do, method, task) for task in tasks]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool:
            raise UserError(
                "a worker process died (killed, or out of memory?); what is done is kept: run it again to go on, with "
                "fewer --workers if memory is short"
            ) from None

    def close(self) -> None:
        """See `Workers`."""
        for child in active_children():
            child.terminate()  # where the work was interrupted it would go on to the end of a piece
        self._pool.shutdown(wait=False, cancel_futures=True)


class OnRay:
    """Actors on Ray, which starts by itself on this machine, or is joined where it runs."""

    name = "Ray"

    def __init__(self, setup: Setup, count: int | None, address: str | None, gpus: float) -> None:
        """count: None for one a CPU of the cluster, or as many as the GPUs suffice for. gpus: each one's share."""
        with kept_signals():  # it would end this process in its own way
            self._ray = library("ray", "running on Ray")
            _join(self._ray, address)
        resources = self._ray.cluster_resources()
        most = int(resources.get("GPU", 0) / gpus) if gpus else int(resources.get("CPU", 1))
        if most < 1:
            raise UserError(f"--gpus {gpus:g}: the machines that Ray runs on have {resources.get('GPU', 0):g} GPUs")
        self.count = min(count or most, most)
        remote = self._ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=-1, max_task_retries=RETRIES)(Worker)
        pool = library("ray.util", "running on Ray").ActorPool
        self._pool = pool([remote.remote(setup) for _ in range(self.count)])

    def run(self, method: str, tasks: Iterable[Any]) -> Iterator[Any]:
        """See `Workers`. A worker that dies is started anew, and its task given to it again, twice at most."""
        for task in tasks:
            self._pool.submit(lambda actor, task: getattr(actor, method).remote(task), task)
        errors = library("ray.exceptions", "running on Ray")
        while self._pool.has_next():
            try:
                yield self._pool.get_next_unordered()
            except errors.RayTaskError as error:
                raise error.cause if isinstance(error.cause, UserError) else error from None
            except errors.RayError:
                continue  # the task brings nothing; whoever waits for it sees that it never came

    def close(self) -> None:
        """See `Workers`."""
        self._ray.shutdown()


def _join(ray: Any, address: str | None) -> None:
    """Start Ray, or join the one that runs there. Raises UserError."""
    alone = {"include_dashboard": False} if address is None else {}
    try:
        ray.init(address=address, log_to_driver=False, logging_level="error", **alone)
    except Exception as error:  # it raises what it happens to meet, plain Exception among it
        where = f"--address {address}: no Ray can be reached there" if address else "Ray cannot be started here"
        raise UserError(f"{where} ({one_line(error)}); --engine processes needs none") from error


RETRIES = 2
"""Times that Ray gives a task to a new worker when its worker has died."""

_worker: Worker | None = None


def _begin(setup: Setup) -> None:
    """A worker process begins: it ends when interrupted, and with the process that started it."""
    global _worker
    on_ending(lambda *_: sys.exit(1))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker = Worker(setup)


def _do(method: str, task: Any) -> Any:
    try:
        return getattr(_worker, method)(task)
    except SystemExit:  # interrupted; nothing is left half written
        os._exit(1)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        with suppress(Exception):
            parent.join()
        os._exit(1)


def make_workers(setup: Setup, engine: str, count: int | None, address: str | None, gpus: float) -> Workers:
    """engine: ray, processes, or auto, which is Ray where it is installed. count: None for one a core; 0: this process.

    Raises UserError where that engine cannot be had.
    """
    if count == 0:
        return ThisProcess(setup)
    if engine == "ray" or address or gpus or (engine == "auto" and _has_ray()):
        return OnRay(setup, count, address, gpus)
    return Processes(setup, count or len(os.sched_getaffinity(0)))


def _has_ray() -> bool:
    from importlib.util import find_spec

    return find_spec("ray") is not None
