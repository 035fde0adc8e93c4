"""Web processes that live but answer nothing are replaced; those that are merely busy are not."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from app.web.heartbeat import Heartbeat
from app.web.threads import RequestThreads
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


def test_the_first_beat_changes_the_file(tmp_path: Path) -> None:
    """However few requests there have been: a process that starts slowly has the whole limit for the next one."""

    async def beat() -> None:
        threads = RequestThreads(1)
        threads.start(asyncio.get_running_loop())
        heartbeat = Heartbeat(tmp_path)
        path = tmp_path / str(os.getpid())
        try:
            before = path.read_bytes()
            for _ in range(4):
                heartbeat.beat(threads)
            assert (len(path.read_bytes()), path.read_bytes() != before) == (len(before), True)
        finally:
            threads.stop()
            heartbeat.end()
        assert not path.exists()

    asyncio.run(beat())


# Runs `python -m app.web.server` as the product does, with one URL that hangs for ever.
_HANGING = """
import os
import threading
from pathlib import Path
import app.factory
build = app.factory.build_app
def hang():
    Path(os.environ["HANGING"], str(threading.get_ident())).touch()
    threading.Event().wait()
def build_app(settings):
    made = build(settings)
    made.add_url_rule("/hang/", view_func=hang)
    return made
app.factory.build_app = build_app
from app.web.server import main
main()
"""


def test_stopped_and_hanging_web_processes_are_replaced(environment: dict[str, str], tmp_path: Path) -> None:
    """F6. SIGSTOP stands for whatever stops a process; four requests that never end take all its threads."""
    said: list[str] = []
    port = free_port()
    hanging = tmp_path / "hanging"
    hanging.mkdir()
    variables = {"PORT": str(port), "WEB_WORKERS": "1", "WEB_HEARTBEAT_PATH": str(tmp_path), "HANGING": str(hanging)}
    env = {**os.environ, **environment, **variables, children.MARKER: str(tmp_path)}

    def beat() -> Path:
        return next(tmp_path.glob("[0-9]*"))

    def answers() -> bool:
        try:
            return call(port, "GET", "/healthz").status == 200
        except OSError:
            return False

    def falls_silent(seconds: float) -> bool:
        """Whether the file stays as it is for so long."""
        written = beat().read_bytes()
        silent_until = time.monotonic() + seconds
        while time.monotonic() < silent_until:
            if beat().read_bytes() != written:
                return False
            time.sleep(0.05)
        return True

    def replace(silent: Path) -> None:
        """Let it look as if the file had stayed as it is for the whole limit, as it does."""
        look(beats)
        beats._seen[silent].since -= 60
        look(beats)
        until(lambda: not psutil.pid_exists(int(silent.name)))
        until(answers, 90)

    with ExitStack() as stack:
        process = stack.enter_context(
            subprocess.Popen([sys.executable, "-c", _HANGING], env=env, cwd=PROJECT, start_new_session=True)
        )
        stack.callback(lambda: children.end(children.in_session(process.pid), children.TERM_THEN_KILL))
        beats = Heartbeats(tmp_path, limit=60.0, parents=lambda: {process.pid}, say=said.append)
        until(answers, 90)
        first = beat()
        os.kill(int(first.name), signal.SIGSTOP)
        replace(first)
        second = beat()
        for _ in range(4):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            connection.sendall(b"GET /hang/ HTTP/1.1\r\nHost: x\r\n\r\n")
        until(lambda: len(list(hanging.iterdir())) == 4)
        until(lambda: falls_silent(4.5))  # more than twice as long as from beat to beat
        replace(second)
        told = "web process {} has answered nothing for 60 s; replacing it"
        assert said == [told.format(first.name), told.format(second.name)]
        # One that works on is left alone, though nobody asks it for anything.
        third = beat()
        for _ in range(2):
            look(beats)
            beats._seen[third].since -= 50
            before = third.read_bytes()
            until(lambda: third.read_bytes() != before)  # noqa: B023 - it is called at once
            look(beats)
        assert (beat(), len(said)) == (third, 2)
