"""What the tests of stored pictures begin with."""

import pytest
from flask import Flask

from config import Settings
from tests.goods.steps import stored_files


@pytest.fixture(autouse=True)
def empty(app: Flask, settings: Settings, clean: None) -> None:
    """Files of other tests are young; here they go, to count those of this one."""
    root = settings.instance_path / "pictures"
    for name in stored_files(settings):
        (root / name[:2] / name[2:4] / name).unlink()
