"""The process supervisor, as an own process, over tiny programs: restarts, endings, leftovers."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from supervisor import children
from supervisor.processes import Process, RestartPolicy, Supervisor

from .conftest import PROJECT, python, until

FOREVER = "import time\nwhile True: time.sleep(60)"
SCRIPT = """
import os, signal, sys
from pathlib import Path
from supervisor import children, product
from supervisor.errors import StartError
from supervisor.processes import Process, RestartPolicy, Supervisor
children.TERM_THEN_KILL = ((signal.SIGTERM, 0.5), (signal.SIGKILL, 5.0))
instance = Path(sys.argv[1])
table = eval(sys.argv[2])
policy = RestartPolicy(quick=60.0, first_delay=0.01, longest_delay=0.02, attempts=3)
with product.only_one(instance), Supervisor(marker=str(instance), env=os.environ, policy=policy) as supervisor:
    print("begin", flush=True)
    sys.exit(supervisor.run(table))
"""
Supervise = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def supervise(folder: Path) -> Iterator[Supervise]:
    """Start a supervisor of a table in a process group of its own; what it says goes to `folder/said`."""
    started = []

    def start(*table: Process, **given: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", SCRIPT, str(folder / "instance"), repr(table)]
        with (folder / "said").open("w") as said:
            process = subprocess.Popen(
                command, cwd=PROJECT, stdout=given.get("stdout", said), stderr=said, text=True, start_new_session=True
            )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
    for left in children.marked(str(folder / "instance")):
        left.kill()


def said(folder: Path) -> str:
    return (folder / "said").read_text()


def has_ended(process: "subprocess.Popen[str]", within_s: float) -> bool:
    with suppress(subprocess.TimeoutExpired):
        process.wait(within_s)
    return process.returncode is not None


def alive(folder: Path) -> list[psutil.Process]:
    """What runs below a supervisor of this folder."""
    return children.marked(str(folder / "instance"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_end_ends_all_children_and_grandchildren(supervise: Supervise, folder: Path, number: int) -> None:
    grandchild = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {FOREVER!r}])"
    supervisor = supervise(Process("plain", python(FOREVER), count=2), Process("deep", python(grandchild)))
    until(lambda: len(alive(folder)) == 4)
    supervisor.send_signal(number)
    assert supervisor.wait(60) == 0
    assert alive(folder) == []
    assert "Traceback" not in said(folder)


def test_children_end_one_after_the_other_the_last_one_first(supervise: Supervise, folder: Path) -> None:
    code = """
import os, signal, sys, time
def end(*_):
    time.sleep(0.1)  # long enough for the next one to overtake, if it were asked already
    with open(sys.argv[2], "a") as file:
        file.write(sys.argv[1])
    os._exit(0)
signal.signal(signal.SIGTERM, end)
print("up")
while True: time.sleep(60)
"""
    supervisor = supervise(*(Process(name, (*python(code), name, str(folder / "order"))) for name in "abc"))
    until(lambda: said(folder).count("| up") == 3)
    supervisor.terminate()
    assert supervisor.wait(60) == 0
    assert (folder / "order").read_text() == "cba"


def test_output_carries_the_name_of_who_says_it(supervise: Supervise, folder: Path) -> None:
    written = folder / "written"
    talk = f"""
import sys
from pathlib import Path
print('你好')
print('wrong', file=sys.stderr)
sys.stdout.buffer.write(b'\\xff no newline')
sys.stdout.flush()
Path({str(written)!r}).touch()
"""
    supervisor = supervise(Process("one", python(talk + FOREVER)), Process("other", python(FOREVER), count=2))
    until(written.exists)
    supervisor.terminate()
    assert supervisor.wait(60) == 0
    lines = said(folder).splitlines()
    assert lines[0] == "begin"
    assert lines[1:] == ["one        | 你好", "one        | wrong", "one        | \N{REPLACEMENT CHARACTER} no newline"]


def test_a_child_that_dies_is_started_again(supervise: Supervise, folder: Path) -> None:
    supervisor = supervise(Process("web", python(f"print('up')\n{FOREVER}")), Process("worker", python(FOREVER)))
    until(lambda: len(alive(folder)) == 2 and "| up" in said(folder))
    first = next(process for process in alive(folder) if "print" in " ".join(process.cmdline()))
    first.kill()
    until(lambda: said(folder).count("| up") == 2)
    assert "supervisor | web was ended by SIGKILL; starting it again in 0.01 s\n" in said(folder)
    assert not first.is_running()
    assert len(alive(folder)) == 2
    supervisor.terminate()
    assert supervisor.wait(60) == 0
    assert alive(folder) == []


def test_what_a_dead_child_leaves_running_is_ended_before_the_next_start(supervise: Supervise, folder: Path) -> None:
    leave = f"""
import subprocess, sys, time
left = subprocess.Popen([sys.executable, '-c', {FOREVER!r}], process_group=0)  # as RQ starts a job
print('left', left.pid)
time.sleep(60)
"""
    supervise(Process("worker", python(leave)))
    until(lambda: "| left" in said(folder))
    left = int(re.findall(r"\| left (\d+)", said(folder))[0])
    psutil.Process(left).parent().kill()
    until(lambda: said(folder).count("| left") == 2)
    assert not psutil.pid_exists(left)


def test_the_ids_of_what_runs_are_told_by_name(folder: Path) -> None:
    told: list[frozenset[int]] = []
    with Supervisor(marker=str(folder), env=os.environ) as supervisor:

        def look() -> None:
            told.extend(supervisor.process_ids(name) for name in ("twice", "once", "never"))
            assert {psutil.Process(each).ppid() for each in told[0] | told[1]} == {os.getpid()}
            supervisor._ask_to_stop(signal.SIGTERM)

        table = [Process("twice", python(FOREVER), count=2), Process("once", python(FOREVER))]
        assert supervisor.run(table, look) == 0
    assert [len(each) for each in told] == [2, 1, 0]
    assert not told[0] & told[1]


def test_a_child_that_fails_at_once_again_and_again_ends_everything(supervise: Supervise, folder: Path) -> None:
    failing = "import os, sys\nprint('reason', file=sys.stderr)\nsys.exit(3)"
    supervisor = supervise(Process("steady", python(FOREVER)), Process("broken", python(failing)))
    assert supervisor.wait(60) == 1
    assert alive(folder) == []
    text = said(folder)
    assert text.count("starting it again") == 2
    assert text.endswith(
        "supervisor | broken ended with status 3, 3 times in a row; its last lines were:\n"
        "broken     | reason\nbroken     | reason\nbroken     | reason\n"
    )


def test_a_program_that_does_not_exist_ends_everything(supervise: Supervise, folder: Path) -> None:
    supervisor = supervise(Process("steady", python(FOREVER)), Process("absent", ("/no/such/program",)))
    assert supervisor.wait(60) == 1
    assert "StartError: absent: cannot start /no/such/program: No such file or directory" in said(folder)
    assert alive(folder) == []


STUBBORN = (
    "import signal\nfor s in (signal.SIGTERM, signal.SIGINT): signal.signal(s, signal.SIG_IGN)\nprint('deaf')\n"
    + FOREVER
)


def test_a_child_that_does_not_end_is_killed_after_its_grace(supervise: Supervise, folder: Path) -> None:
    supervisor = supervise(Process("deaf", python(STUBBORN), grace=0.3))
    until(lambda: "| deaf" in said(folder))
    supervisor.terminate()
    assert supervisor.wait(60) == 0
    assert "supervisor | deaf does not end; killing it\n" in said(folder)
    assert alive(folder) == []


def test_a_second_ctrl_c_kills_and_a_doubled_first_one_does_not(supervise: Supervise, folder: Path) -> None:
    supervisor = supervise(Process("deaf", python(STUBBORN), grace=600.0))
    until(lambda: "| deaf" in said(folder))
    supervisor.send_signal(signal.SIGINT)
    supervisor.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        supervisor.wait(1.2)
    assert len(alive(folder)) == 1
    # Again, where it has noticed the first one so late that this one counts as the same.
    until(lambda: supervisor.send_signal(signal.SIGINT) or has_ended(supervisor, 10))
    assert supervisor.returncode == 0
    assert alive(folder) == []


def test_a_reader_that_goes_away_ends_everything(supervise: Supervise, folder: Path) -> None:
    chatty = "import time\nwhile True: print('more'); time.sleep(0.01)"
    supervisor = supervise(Process("chatty", python(chatty)), stdout=subprocess.PIPE)
    assert supervisor.stdout is not None
    supervisor.stdout.readline()
    supervisor.stdout.close()
    assert supervisor.wait(60) == 0
    assert alive(folder) == []


def test_a_start_after_kill_minus_nine_ends_what_is_left(supervise: Supervise, folder: Path) -> None:
    # Children that ignore the signal the kernel sends them at their parent's death.
    first = supervise(Process("deaf", python(STUBBORN), count=2))
    until(lambda: said(folder).count("| deaf") == 2)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    left = alive(folder)
    assert len(left) == 2
    stranger = subprocess.Popen(python(FOREVER), env={**os.environ, children.MARKER: str(folder / "other")})
    try:
        second = supervise(Process("plain", python("print('up')\n" + FOREVER)))
        until(lambda: "| up" in said(folder))
        assert not any(process.is_running() for process in left)
        assert stranger.poll() is None
        assert len(alive(folder)) == 1
        second.terminate()
        assert second.wait(60) == 0
    finally:
        stranger.kill()
        stranger.wait()


def test_children_die_with_a_killed_supervisor(supervise: Supervise, folder: Path) -> None:
    if sys.platform != "linux":
        pytest.fail("this machine has no PR_SET_PDEATHSIG; the test above covers it")
    supervisor = supervise(Process("plain", python("print('up')\n" + FOREVER), count=2))
    until(lambda: said(folder).count("| up") == 2)
    supervisor.kill()
    supervisor.wait()
    until(lambda: alive(folder) == [])


def test_a_second_supervisor_in_the_same_folder_is_refused(supervise: Supervise, folder: Path) -> None:
    first = supervise(Process("plain", python("print('up')\n" + FOREVER)))
    until(lambda: "| up" in said(folder))
    second = supervise(Process("plain", python(FOREVER)))
    assert second.wait(60) == 1
    assert f"StartError: already running in {folder / 'instance'} (process {first.pid})" in said(folder)
    assert len(alive(folder)) == 1


def test_delays_double_up_to_the_longest() -> None:
    policy = RestartPolicy(first_delay=0.5, longest_delay=3.0)
    assert [policy.delay(ends) for ends in range(6)] == [0.5, 0.5, 1.0, 2.0, 3.0, 3.0]
