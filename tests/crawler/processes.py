"""Starts the crawler in processes of their own, without the imports that are most of the cost of a short run.

Of 1.5 s of CPU time for a run over one saved page, 1.4 s are the imports of Scrapy and Twisted. So a fork server, that
of `multiprocessing`, imports them once, and each run is forked from it. Apart from that a run is what cron starts: a
process with its own environment, working folder, output, signals and exit code. Some tests start a real
`python -m crawler` nevertheless, to show that it is the same: see `Operator.forked` and `test_runner`.
"""

import importlib
import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import chdir, suppress
from multiprocessing import forkserver
from pathlib import Path
from typing import Final, Self

from tests.live import PROJECT

_FORK_SERVER: Final = multiprocessing.get_context("forkserver")


class ForkedProcess:
    """A running `python -m MODULE ARGUMENTS…`, with the methods of `subprocess.Popen` that tests use."""

    def __init__(self, module: str, arguments: Sequence[str], *, environ: Mapping[str, str], folder: Path) -> None:
        """Start it in `folder`. `module` is one with a function `main()`, which returns the exit code or None."""
        _FORK_SERVER.set_forkserver_preload(["tests.crawler.preload"])
        with chdir(PROJECT):  # from where the server finds the module to preload
            forkserver.ensure_running()
        self._output = tempfile.TemporaryDirectory(prefix="saltfish-test-", ignore_cleanup_errors=True)
        self._paths = (Path(self._output.name) / "stdout", Path(self._output.name) / "stderr")
        self._process = _FORK_SERVER.Process(
            target=_run, args=(module, list(arguments), dict(environ), folder, self._paths)
        )
        self._process.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()
        self._output.cleanup()

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; None while the process runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """As `returncode`."""
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None and self._process.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    def kill(self) -> None:
        """Send SIGKILL, unless the process has ended."""
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end, and return the exit code. Raises `TimeoutError` after `timeout` seconds."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise TimeoutError(f"still running after {timeout} s")
        return self._process.exitcode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for the end, and return what it wrote to standard output and standard error."""
        self.wait(timeout)
        output, errors = (path.read_text("utf-8") for path in self._paths)
        return output, errors


def _run(
    module: str, arguments: Sequence[str], environ: Mapping[str, str], folder: Path, outputs: tuple[Path, Path]
) -> None:
    """What the forked process does."""
    for descriptor, path in enumerate(outputs, 1):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(file, descriptor)
        os.close(file)
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(folder)
    sys.argv = [module, *arguments]
    sys.exit(importlib.import_module(module).main())
