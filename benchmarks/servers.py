"""What the benchmarks need to run: PostgreSQL and Valkey, a temporary database, web servers."""

import argparse
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import psycopg
from sqlalchemy import make_url

from supervisor import children
from supervisor.options import PROJECT, read_options
from supervisor.product import temporary_engines

_START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: its port, and the id of its main process."""

    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """CPU time of all its processes so far. Unlike a rate, it hardly depends on what else runs on the machine."""
        times = [each.cpu_times() for each in children.in_session(self.pid)]
        return sum(each.user + each.system for each in times)


@contextmanager
def prepared() -> Iterator[tuple[dict[str, str], Path]]:
    """Engines, a new database and a temporary folder; yields the environment that names the engines, and the folder.

    PostgreSQL and Valkey are started unless DATABASE_URL and REDIS_URL name them. Everything is removed afterwards,
    even after SIGTERM.
    """
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so that the blocks below clean up
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="saltfish-bench-")))
        environ = dict(os.environ)
        options = read_options(environ)
        if not (options.database_url and options.redis_url):
            environ |= stack.enter_context(temporary_engines(options))
        environ["DATABASE_URL"] = stack.enter_context(_own_database(environ["DATABASE_URL"]))
        yield environ, folder


@contextmanager
def serving(
    factory: str, alive: str, arguments: argparse.Namespace, env: Mapping[str, str], folder: Path
) -> Iterator[Server]:
    """Serve the WSGI application that `factory` makes, during the block, under granian's own WSGI.

    `alive` is the path that answers once it is up. `serving_product` is how Saltfish runs.
    """
    port = _free_port()
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--factory", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", str(arguments.workers)]
    command += ["--blocking-threads", str(arguments.threads), factory]
    with _running(factory.partition(":")[0], command, env, port, alive, folder) as server:
        yield server


@contextmanager
def serving_product(arguments: argparse.Namespace, env: Mapping[str, str], folder: Path) -> Iterator[Server]:
    """Serve Saltfish as it is served everywhere, behind its edge, during the block."""
    port = _free_port()
    own = {"HOST": "127.0.0.1", "PORT": str(port), "WEB_WORKERS": str(arguments.workers)}
    with _running(
        "saltfish", [sys.executable, "-m", "app.web.server"], {**env, **own}, port, "/healthz", folder
    ) as server:
        yield server


@contextmanager
def _running(
    name: str, command: Sequence[str], env: Mapping[str, str], port: int, alive: str, folder: Path
) -> Iterator[Server]:
    metrics = folder / f"{name}-metrics"
    metrics.mkdir()
    with (folder / f"{name}.log").open("wb") as log:
        process = children.spawn(
            command, env={**env, "PROMETHEUS_MULTIPROC_DIR": str(metrics)}, cwd=PROJECT, output=log
        )
        try:
            _wait_until_it_answers(process, port, alive, Path(log.name))
            yield Server(port, process.pid)
        finally:
            process.terminate()
            children.end(children.in_session(process.pid), children.TERM_THEN_KILL)
            process.wait()


def _wait_until_it_answers(process: "subprocess.Popen[bytes]", port: int, path: str, log: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5.0)) as connection:
            try:
                connection.request("GET", path)
                if connection.getresponse().status == HTTPStatus.OK:
                    return
            except OSError:
                time.sleep(0.05)
    raise RuntimeError(f"the server did not start:\n{log.read_text(errors='replace')[-4000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _own_database(url: str) -> Iterator[str]:
    """A new database on the server of `url`, dropped afterwards; yields its URL."""
    server = make_url(url)
    name = f"saltfish_bench_{os.getpid()}"
    libpq = server.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(libpq, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield server.set(database=name).render_as_string(hide_password=False)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
