"""What `python -m tests.search.crashes` does at length, with few steps."""

import pytest
from flask import Flask

from tests.search.crashes import kill_writers, read_beside_writer

pytestmark = pytest.mark.usefixtures("clean", "no_index")


def test_killed_writers_leave_an_index_that_can_be_read(app: Flask, environment: dict[str, str]) -> None:
    assert kill_writers(app, environment, kills=3) > 3


def test_readers_beside_a_writer_see_no_error_and_nothing_stale(app: Flask) -> None:
    looks, steps = read_beside_writer(app, readers=8, goes_on=lambda steps: steps < 8)
    assert (looks >= 16, steps) == (True, 8)
