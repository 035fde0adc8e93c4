"""nginx for tests, with `deploy/nginx.conf`. In CI a machine without it fails them."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.live import PROJECT, free_port

_PROGRAM = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
_FILES = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def require_nginx() -> None:
    """Skip the test where there is no nginx; fail it in CI."""
    if _PROGRAM is None:
        if "CI" in os.environ:
            pytest.fail("there is no nginx: .ci/run installs it")
        pytest.skip("there is no nginx here; CI has one")


@contextmanager
def nginx_before(
    port: int, *, address: str = "$remote_addr", http_2_port: int | None = None, body_seconds: int = 10
) -> Iterator[int]:
    """nginx in front of the web server at `port`, as it is deployed; yields its own port.

    `address` is the variable that has the address whose network it counts by. At `http_2_port` it speaks HTTP/2 without
    TLS, as `deploy/nginx.conf` says it of browsers, whose limits are the same. `body_seconds` is how long it waits for
    the next part of a body: longer than deployed where a test opens many that do not come.
    """
    require_nginx()
    assert _PROGRAM is not None
    own = free_port()
    http_2 = f"listen 127.0.0.1:{http_2_port} http2; " if http_2_port else ""
    with tempfile.TemporaryDirectory(prefix="saltfish-nginx-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # its workers are another user's where root starts it
        config = (PROJECT / "deploy" / "nginx.conf").read_text("utf-8")
        paths = "".join(f"    {each}_temp_path {folder}/{each};\n" for each in _FILES)
        for written, meant in (
            ("listen 80 ", f"{http_2}listen 127.0.0.1:{own} "),
            ("server web:8000;", f"server 127.0.0.1:{port};"),
            ("pid nginx.pid;", f"pid {folder}/nginx.pid;"),
            ("access_log /dev/stdout plain;", f"access_log {folder}/access.log plain;"),
            ("client_body_timeout 10s;", f"client_body_timeout {body_seconds}s;"),
            ("map $remote_addr $network", f"map {address} $network"),
            ("default $remote_addr;", f"default {address};"),
            ("http {\n", f"http {{\n{paths}"),
        ):
            assert config.count(written) == 1, written
            config = config.replace(written, meant)
        (folder / "nginx.conf").write_text(config)
        log = folder / "error.log"
        command = [_PROGRAM, "-p", name, "-c", f"{name}/nginx.conf", "-g", "daemon off;"]
        with log.open("wb") as output, subprocess.Popen(command, stderr=output) as process:
            try:
                _wait(process, own, log)
                yield own
            finally:
                process.terminate()
                process.wait(20)


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=2).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"nginx does not listen:\n{log.read_text()}")
