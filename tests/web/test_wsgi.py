"""What servers load."""

import os
import signal
import subprocess
import sys

from tests.live import PROJECT

# As a worker of granian's: forked from a process that only notes a request to end; it waits for its first request.
_WORKER = """
import gc
import signal
signal.signal(signal.SIGTERM, lambda *_: None)
import wsgi
print("loaded", gc.isenabled(), gc.get_freeze_count() > 100_000, flush=True)
signal.pause()
"""


def test_a_worker_that_has_just_loaded_can_be_ended(environment: dict[str, str]) -> None:
    command = [sys.executable, "-c", _WORKER]
    with subprocess.Popen(command, cwd=PROJECT, env={**os.environ, **environment}, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        # Garbage is collected again, and what was loaded is no longer looked through for it.
        assert worker.stdout.readline() == b"loaded True True\n"
        worker.terminate()
        assert worker.wait(10) == -signal.SIGTERM
