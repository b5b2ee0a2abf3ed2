"""Model folders of every kind of fusion."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_models import trained_parts

from amtnet_ros.inference.export import ExportOptions, export_model


@pytest.fixture(scope="session")
def tiny_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Kind of fusion → its exported model folder (filled as it is asked for by `tiny_folder`)."""
    return {"": tmp_path_factory.mktemp("models")}


@pytest.fixture
def tiny_folder(tiny_folders: dict[str, Path], request: pytest.FixtureRequest) -> Path:
    """A model folder; of sum fusion, or of the kind a test is parametrised with."""
    kind = getattr(request, "param", "sum")
    if kind not in tiny_folders:
        folder = tiny_folders[""] / kind
        export_model(trained_parts(kind), folder, ExportOptions())
        tiny_folders[kind] = folder
    return tiny_folders[kind]
