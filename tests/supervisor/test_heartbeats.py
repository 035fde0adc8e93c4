"""Web processes that live but answer nothing are replaced; those that are merely busy are not."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from supervisor import children
from supervisor.heartbeats import Heartbeats
from tests.live import call, free_port

from .conftest import PROJECT, until


def look(beats: Heartbeats) -> None:
    """Let it look as if a second had gone by."""
    beats._looked = time.monotonic() - 1.5
    beats.look()


@pytest.mark.parametrize(
    ("ours", "written", "killed"),
    [
        (True, 0.0, True),
        (False, 0.0, False),  # a worker of the product's, or anybody's
        (True, -3600.0, False),  # it got the id of one that has written the file before it began
    ],
)
def test_only_web_processes_that_wrote_the_file_are_killed(
    tmp_path: Path, ours: bool, written: float, killed: bool
) -> None:
    env = {**os.environ, children.MARKER: str(tmp_path)}
    said: list[str] = []
    parents = {os.getpid()} if ours else {1}
    beats = Heartbeats(tmp_path, limit=0.0, parents=lambda: parents, say=said.append)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env=env) as process:
        try:
            beat = tmp_path / str(process.pid)
            beat.write_text("7")
            os.utime(beat, (time.time() + written,) * 2)
            look(beats)
            if killed:
                assert process.wait(10) == -signal.SIGKILL
            else:
                assert process.poll() is None
            assert len(said) == killed
            assert not beat.exists()
        finally:
            process.kill()


def test_a_changing_file_and_a_gap_in_our_own_watch_are_no_silence(tmp_path: Path) -> None:
    said: list[str] = []
    beats = Heartbeats(tmp_path, limit=10.0, parents=frozenset, say=said.append)
    beat = tmp_path / "4194400"  # no process has this id
    for content, age, gone in (("1", 20.0, False), ("2", 20.0, True)):
        beat.write_text(content)
        look(beats)  # notes the content
        assert beat.exists()
        beats._seen[beat].since -= age
        if not gone:
            beats._looked = time.monotonic() - 60  # we were stopped, too
            beats.look()
            assert beat.exists()
            continue
        look(beats)
        assert not beat.exists()
    assert said == []


# Runs `python -m app.web.server` as the product does, with one URL that hangs for ever.
_HANGING = """
import threading
import app.factory
build = app.factory.build_app
def build_app(settings):
    made = build(settings)
    made.add_url_rule("/hang/", view_func=lambda: threading.Event().wait() or "")
    return made
app.factory.build_app = build_app
from app.web.server import main
main()
"""


def test_stopped_and_hanging_web_processes_are_replaced(environment: dict[str, str], tmp_path: Path) -> None:
    """F6. SIGSTOP stands for whatever stops a process; four requests that never end take all its threads."""
    said: list[str] = []
    port = free_port()
    variables = {"PORT": str(port), "WEB_WORKERS": "1", "WEB_HEARTBEAT_PATH": str(tmp_path)}
    env = {**os.environ, **environment, **variables, children.MARKER: str(tmp_path)}

    def process_id() -> int:
        return int(next(tmp_path.glob("[0-9]*")).name)

    def answers() -> bool:
        try:
            return call(port, "GET", "/healthz").status == 200
        except OSError:
            return False

    def replaced(old: int) -> bool:
        beats.look()
        return not psutil.pid_exists(old)

    with subprocess.Popen([sys.executable, "-c", _HANGING], env=env, cwd=PROJECT, start_new_session=True) as process:
        beats = Heartbeats(tmp_path, limit=6.0, parents=lambda: {process.pid}, say=said.append)
        try:
            until(answers, 60)
            first = process_id()
            os.kill(first, signal.SIGSTOP)
            until(lambda: replaced(first), 40)
            until(answers, 60)
            second = process_id()
            for _ in range(4):
                with socket.create_connection(("127.0.0.1", port)) as connection:
                    connection.sendall(b"GET /hang/ HTTP/1.1\r\nHost: x\r\n\r\n")
                    time.sleep(0.1)
            until(lambda: replaced(second), 40)
            until(answers, 60)
            told = "web process {} has answered nothing for 6 s; replacing it"
            assert said == [told.format(first), told.format(second)]
            # One that works on is left alone.
            third = process_id()
            watched = time.monotonic() + 8
            until(lambda: beats.look() or time.monotonic() > watched, 20)
            assert (process_id(), len(said)) == (third, 2)
        finally:
            children.end(children.in_session(process.pid), children.TERM_THEN_KILL)
