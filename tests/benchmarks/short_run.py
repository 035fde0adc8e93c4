"""A short run of a benchmark, in a process of its own as `make bench-…` starts it."""

import os
import subprocess
import sys

import psycopg
from sqlalchemy import make_url

from tests.live import PROJECT


def short_run(module: str, *arguments: str, stores: tuple[str, str]) -> str:
    """What `python -m module arguments` printed. It must end well, warn of nothing and leave no database.

    Only its own database counts, whose name ends in its process id: another benchmark may be running beside it.
    """
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", module, *arguments],
        cwd=PROJECT,
        env={**os.environ, "DATABASE_URL": stores[0], "REDIS_URL": stores[1]},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            printed, complaints = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            process.kill()
            raise

    assert process.returncode == 0, complaints
    assert "Warning" not in complaints
    server = make_url(stores[0]).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(server) as connection:
        left = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [f"saltfish_bench_{process.pid}"])
        assert left.fetchall() == []
    return printed
