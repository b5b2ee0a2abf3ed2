"""What tests of all parts share."""

import os
import signal
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from amtnet_ros.libraries import INSTALL

REPOSITORY = Path(__file__).parents[1]

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup, all that the tests start would ignore it,
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # and Ctrl-C in the background of a script
    signal.signal(signal.SIGINT, signal.default_int_handler)


MAY_BE_MISSING = {*INSTALL, "hypothesis", "moto", "playwright", "s3fs", "triton"}
"""Libraries that a robot has no need of: without them `colcon test` runs what is left."""


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """A module that imports what is not installed, or too old, is skipped, with the reason. So it is by the pytest of
    every robot: that of Ubuntu 22.04 knows no module_path, with which a module could be replaced."""
    report = (yield).get_result()
    call = getattr(report, "call", None)
    error = call.excinfo.value.__cause__ if call and call.excinfo else None
    if not isinstance(error, ImportError):
        return
    name = str(error.name).split(".")[0]
    without_ros = find_spec("rclpy") is None and collector.nodeid.startswith("test/ros/")
    if name in MAY_BE_MISSING or without_ros:
        del report.call
        how = "./check installs it" + (", or source a ROS 2 set-up" if without_ros else "")
        report.outcome, report.result = "skipped", []
        report.longrepr = (collector.nodeid, 0, f"Skipped: {name} is not installed, or too old: {how}")


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder with jhmdb21/ and ucf101_24/: beside the repository, or where AMTNET_DATA says."""
    for folder in (REPOSITORY.parent / "shared" / "data", Path(os.environ.get("AMTNET_DATA", "/nonexistent"))):
        if folder.is_dir():
            return folder
    pytest.skip("no data: neither ../shared/data nor AMTNET_DATA is a folder with jhmdb21/ and ucf101_24/")


@pytest.fixture(scope="session")
def tiny_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Kind of fusion → its exported model folder (filled as it is asked for by `tiny_folder`)."""
    return {"": tmp_path_factory.mktemp("models")}


@pytest.fixture
def tiny_folder(tiny_folders: dict[str, Path], request: pytest.FixtureRequest) -> Path:
    """A model folder; of sum fusion, or of the kind a test is parametrised with."""
    for library in ("torch", "onnx"):
        pytest.importorskip(library, reason=f"{library} is not installed, with which a small model is made")
    from tiny import trained_parts

    from amtnet_ros.deploy.export import ExportOptions, export_model

    kind = getattr(request, "param", "sum")
    if kind not in tiny_folders:
        folder = tiny_folders[""] / kind
        export_model(trained_parts(kind), folder, ExportOptions())
        tiny_folders[kind] = folder
    return tiny_folders[kind]
