"""What tests of all parts share."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


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
    from tiny import trained_parts

    from amtnet_ros.deploy.export import ExportOptions, export_model

    kind = getattr(request, "param", "sum")
    if kind not in tiny_folders:
        folder = tiny_folders[""] / kind
        export_model(trained_parts(kind), folder, ExportOptions())
        tiny_folders[kind] = folder
    return tiny_folders[kind]
