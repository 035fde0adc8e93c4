"""The application as granian serves it, with a real gateway beside it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask import Flask

from config import load_settings
from tests.applications import running_app
from tests.live import LiveServer
from tests.money.sandbox_server import SandboxServer, start_sandbox
from tests.races.steps import Arena


@pytest.fixture(scope="session")
def race_gateway(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxServer]:
    """A sandbox with the application's keys."""
    folder = Path(environment["INSTANCE_PATH"]) / "keys"
    with start_sandbox(tmp_path_factory.mktemp("races"), keys_dir=folder) as running:
        yield running


@pytest.fixture(scope="session")
def racing(app: Flask, environment: dict[str, str], race_gateway: SandboxServer) -> Iterator[Arena]:
    """One server and one application in this process, on the same stores."""
    variables = {**environment, "ALIPAY_GATEWAY_URL": race_gateway.gateway_url}
    with running_app(load_settings(variables)) as application, LiveServer.start(variables) as server:
        yield Arena(application, server, race_gateway.keys)


@pytest.fixture
def arena(racing: Arena, clean: None) -> Arena:
    """They, on empty stores."""
    return racing


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Threads for the two sides of a race."""
    with ThreadPoolExecutor(4) as threads:
        yield threads
