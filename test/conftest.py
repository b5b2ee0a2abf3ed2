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
