"""The Python client, as openapi-python-client makes it."""

import os
import subprocess
import sys
from pathlib import Path

from tests.live import PROJECT

DOCUMENT = PROJECT / "docs" / "openapi.json"
HERE = Path(__file__).resolve().parent


def generate_python_client(folder: Path) -> None:
    """Write the package `saltfish_client` into `folder`. Raises AssertionError where anything was left out."""
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none", "--overwrite"]
    command += ["--fail-on-warning", "--config", str(HERE / "python.yml"), "--path", str(DOCUMENT)]
    command += ["--output-path", str(folder / "saltfish_client")]
    # It puts its code into form with ruff, which it looks for on the PATH.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        command, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False, timeout=300
    )
    said = ran.stdout + ran.stderr
    assert ran.returncode == 0, said
    assert "warning" not in said.lower(), said
