"""What tests of all parts share."""

import os
from pathlib import Path
from typing import Any

import pytest

from amtnet_ros.libraries import INSTALL

REPOSITORY = Path(__file__).parents[1]


MAY_BE_MISSING = {*INSTALL, "hypothesis", "moto", "playwright", "s3fs", "triton"}
"""Libraries that a robot has no need of: without them `colcon test` runs what is left."""


class TestModule(pytest.Module):
    """A test module that is skipped, with the reason, where it imports a library that is not installed."""

    def collect(self) -> Any:
        try:
            return super().collect()
        except self.CollectError as error:
            name = str(getattr(error.__cause__, "name", "")).split(".")[0]
            if isinstance(error.__cause__, ModuleNotFoundError) and name in MAY_BE_MISSING:
                pytest.skip(f"{name} is not installed: ./check installs it", allow_module_level=True)
            raise


def pytest_pycollect_makemodule(module_path: Path, parent: Any) -> pytest.Module:
    return TestModule.from_parent(parent, path=module_path)


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
