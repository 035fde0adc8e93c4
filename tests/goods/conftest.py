"""What all tests of goods need."""

import shutil

import pytest

from config import Settings


@pytest.fixture(autouse=True)
def empty_storage(settings: Settings) -> None:
    """No file is stored when a test begins."""
    shutil.rmtree(settings.instance_path / "pictures", ignore_errors=True)
