"""Processes that tests start end with the tests."""

import subprocess
import sys

import psutil

from config import PROJECT_ROOT

# Starts a server of the tests, as `tests.live` does, tells its process id, and hangs.
_TESTS = """
import os, time
from tests.processes import ForkedPython
server = ForkedPython(["-c", "import time; time.sleep(600)"], environ=dict(os.environ), new_session=True)
print(server.pid, flush=True)
time.sleep(600)
"""


def test_a_server_ends_with_the_tests_that_were_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", _TESTS], cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True) as tests:
        assert tests.stdout is not None
        server = psutil.Process(int(tests.stdout.readline()))
        tests.kill()
    _, alive = psutil.wait_procs([server], timeout=30)
    assert alive == []
