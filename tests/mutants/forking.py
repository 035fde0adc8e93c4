"""Runs tests again and again in a copy of the tree, each time in a process forked from this one.

`python -m tests.mutants.forking`, in the copy. All that the tests import from elsewhere is imported first, once; our
own modules are imported by each forked process, as they are at that moment. For each line of JSON on standard input
(`{"tests": […], "fresh": …, "timeout": …}`) it writes one on standard output: `{"status", "output"}`, where `status`
is pytest's exit code, or null where the tests did not end in time.
"""

import gc
import importlib
import json
import multiprocessing.connection
import os
import signal
import socket
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, Final

import pytest

_ROOT: Final = Path.cwd()
_OURS: Final = (
    "app",
    "benchmarks",
    "config",
    "statemachine",
    "supervisor",
    "tasks",
    "tests",
    "tools",
    "wsgi",
    "xianyu",
)
_LAST_LINES: Final = 3000  # characters


def _is_ours(name: str) -> bool:
    return name.partition(".")[0] in (*_OURS, "__main__", "__mp_main__")


def _in_fork(work: Callable[[], int], output: Path, *, timeout: float) -> int | None:
    """What `work` returns in a forked process that writes to `output`; None where it had to be killed."""
    pid = os.fork()
    if pid == 0:
        status = 70
        try:
            os.setsid()
            descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            for standard in (1, 2):
                os.dup2(descriptor, standard)
            status = work()
        finally:
            sys.stdout.flush()
            os._exit(status)
    ends = time.monotonic() + timeout
    while time.monotonic() < ends:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def _preload(folder: Path) -> None:
    """Import what the application and its tests import from elsewhere. A forked process finds out what that is."""
    names = folder / "modules"

    def find() -> int:
        for module in ("tests.conftest", "tests.preload", "tests.applications", "tests.factories"):
            importlib.import_module(module)
        names.write_text("\n".join(name for name in sys.modules if not _is_ours(name)))
        return 0

    if _in_fork(find, folder / "preload", timeout=300) != 0:
        sys.exit((folder / "preload").read_text())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in names.read_text().split("\n"):
            # A reactor is chosen by each process; what cannot be imported by its name is imported by its package.
            if not name.startswith("twisted.internet.reactor"):
                with suppress(Exception):
                    importlib.import_module(name)
    gc.freeze()


def _prepare_fork_server() -> None:
    """Let `tests.processes` fork from a copy of this process instead of a new one, which would import everything anew.

    The copy is made now, while there are no threads, and waits until it is first wanted.
    """
    address = multiprocessing.connection.arbitrary_address("AF_UNIX")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    (alive, keep_alive), (wanted, want) = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(keep_alive)
        os.close(want)
        if os.read(wanted, 1):
            forkserver.main(listener.fileno(), alive, ["tests.preload"])
        os._exit(0)
    for descriptor in (alive, wanted):
        os.close(descriptor)
    listener.close()
    server: Any = forkserver._forkserver  # type: ignore[attr-defined] # `multiprocessing` has no other way to give it one
    server._forkserver_address, server._forkserver_alive_fd, server._forkserver_pid = address, keep_alive, pid
    ensure_running = forkserver.ensure_running

    def ensure() -> None:
        os.write(want, b"1")
        forkserver.ensure_running = ensure_running

    forkserver.ensure_running = ensure


def _run(request: dict[str, Any], folder: Path) -> dict[str, Any]:
    def work() -> int:
        if request["fresh"]:
            # A changed file must not leave a compiled one behind that the next run would take for its own.
            sys.dont_write_bytecode = True
            os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        _prepare_fork_server()
        rewritten = "ignore::pytest.PytestAssertRewriteWarning"  # of plugins, which are imported here already
        return int(pytest.main(["-x", "-q", "-pno:cacheprovider", "-W", rewritten, *request["tests"]]))

    output = folder / "output"
    status = _in_fork(work, output, timeout=request["timeout"])
    return {"status": status, "output": output.read_text("utf-8", "replace")[-_LAST_LINES:]}


def main() -> None:
    """Serve standard input until it ends."""
    sys.path[:0] = [str(_ROOT), str(_ROOT / "crawler")]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _preload(folder)
        for line in sys.stdin:
            answer = _run(json.loads(line), folder)
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
