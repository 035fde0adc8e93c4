"""Starts Python processes of their own, without the imports that are most of the cost of a short one.

Of the 2 s of CPU time of a worker that runs one job, or of a crawl of one saved page, nearly all are imports. So a fork
server, that of `multiprocessing`, imports the application and Scrapy once (`tests.preload`), and each process is forked
from it. Apart from that it is what `python …` starts: a process with its own environment, working folder, output,
signals and exit code. Of each program at least one test starts the real `python -m …` nevertheless, to show that it is
the same: see `forked=False` in the tests.
"""

import multiprocessing
import os
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import types
import weakref
from collections.abc import Mapping, Sequence
from contextlib import chdir, suppress
from multiprocessing import forkserver
from pathlib import Path
from typing import Final, Self

from config import PROJECT_ROOT

_FORK_SERVER: Final = multiprocessing.get_context("forkserver")


class ForkedPython:
    """A running `python ARGUMENTS…`, with the methods of `subprocess.Popen` that tests use."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        environ: Mapping[str, str],
        folder: Path = PROJECT_ROOT,
        stdout: Path | None = None,
        stderr: Path | None = None,
        new_session: bool = False,
    ) -> None:
        """Start it in `folder`, in a session of its own if that is asked for.

        `arguments` begin with `-m` and a module, or with `-c` and code. What it writes is appended to the files
        `stdout` and `stderr`; without them it can be read with `written` and `communicate`.
        """
        _FORK_SERVER.set_forkserver_preload(["tests.preload"])
        with chdir(PROJECT_ROOT):  # from where the server finds the module to preload
            forkserver.ensure_running()
        self._arguments = list(arguments)
        own = Path(tempfile.mkdtemp(prefix="saltfish-test-"))
        weakref.finalize(self, shutil.rmtree, own, ignore_errors=True)
        self._paths = (stdout or own / "stdout", stderr or own / "stderr")
        self._process = _FORK_SERVER.Process(
            target=_run, args=(self._arguments, dict(environ), folder, self._paths, new_session)
        )
        self._process.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; None while the process runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """As `returncode`."""
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM, unless the process has ended."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL, unless the process has ended."""
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end, and return the exit code. Raises `subprocess.TimeoutExpired` after `timeout` seconds."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self._arguments, timeout or 0)
        return self._process.exitcode

    def written(self) -> tuple[str, str]:
        """What it has written to standard output and standard error until now."""
        output, errors = (path.read_text("utf-8") if path.exists() else "" for path in self._paths)
        return output, errors

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for the end, and return what it wrote to standard output and standard error."""
        self.wait(timeout)
        return self.written()


def run_forked(
    arguments: Sequence[str], *, environ: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run `python ARGUMENTS…` to its end, as `subprocess.run` does, and kill it after `timeout` seconds."""
    with ForkedPython(arguments, environ=environ) as process:
        try:
            output, errors = process.communicate(timeout)
        finally:
            process.kill()
        assert process.returncode is not None
        return subprocess.CompletedProcess(list(arguments), process.returncode, output, errors)


def _run(
    arguments: Sequence[str], environ: Mapping[str, str], folder: Path, outputs: tuple[Path, Path], new_session: bool
) -> None:
    """What the forked process does."""
    if new_session:
        os.setsid()
        _end_with_the_tests()
    for descriptor, path in enumerate(outputs, 1):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(file, descriptor)
        os.close(file)
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(folder)
    # Its own children come as those of any process, not from a fork server.
    multiprocessing.set_start_method(None, force=True)
    how, what, *rest = arguments
    sys.argv = [what if how == "-m" else how, *rest]
    if how == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(what, main.__dict__)  # noqa: S102 - code of our tests


def _end_with_the_tests() -> None:
    """End this session's processes when those that started it are gone, however: no Ctrl-C of a terminal reaches it."""
    tests = multiprocessing.parent_process()
    assert tests is not None

    def watch() -> None:
        tests.join()
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
