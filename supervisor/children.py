"""Child processes that end with their parent, and how to find and end those that outlived it.

On Linux the kernel ends a child when its parent dies, by `kill -9` too (`PR_SET_PDEATHSIG`). On other systems, and for
children of children, the next start finds leftovers by an environment variable (`MARKER`) or by their working folder.
It never trusts a process id from a file: by then that id may belong to another process.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

MARKER = "SALTFISH_SUPERVISOR"
"""Environment variable of every process below a supervisor; its value names the supervisor's instance folder."""

Escalation = tuple[tuple[signal.Signals, float], ...]
"""Signals to send, each with the seconds to wait for it to work."""

TERM_THEN_KILL: Escalation = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0))

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Account:
    """A user of this machine that a child may run as."""

    name: str
    uid: int
    gid: int


def spawn(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    death_signal: signal.Signals = signal.SIGTERM,
    account: Account | None = None,
    cwd: Path | None = None,
    stdin: int | None = None,
    output: int | IO[bytes] | None = None,
    own_session: bool = True,
) -> subprocess.Popen[bytes]:
    """Start `command`; it gets `death_signal` when this process dies (Linux).

    `account`: the user to run it as. `output` receives stdout and stderr together. Call this from the main thread
    only: the kernel sends the death signal when the *thread* that forked ends, not the process.
    Raises `OSError` if the program cannot be started.
    """
    parent = os.getpid()

    def die_with_parent() -> None:
        # Runs in the child between fork and exec, after the change of user, which would clear the setting.
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
            if os.getppid() != parent:  # it died before the setting was made, so no signal will come
                os._exit(1)

    return subprocess.Popen(
        [str(word) for word in command],
        env=dict(env),
        cwd=cwd,
        stdin=stdin,
        stdout=output,
        stderr=subprocess.STDOUT if output is not None else None,
        start_new_session=own_session,
        preexec_fn=die_with_parent,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )


def marked(value: str) -> list[psutil.Process]:
    """Processes started below a supervisor whose marker is `value`, without ourselves and our ancestors."""
    ours = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return _processes(lambda process: process.pid not in ours and process.environ().get(MARKER) == value)


def in_session(leader: int) -> list[psutil.Process]:
    """Processes of the session that the (possibly ended) process `leader` opened."""
    # A process id is not used again while a session has it as its id, so no other session can be meant.
    return _processes(lambda process: os.getsid(process.pid) == leader)


def working_in(folder: Path, names: Iterable[str]) -> list[psutil.Process]:
    """Processes with one of these program names whose current directory is `folder`."""
    wanted = frozenset(names)
    return _processes(lambda process: process.name() in wanted and process.cwd() == str(folder))


def end(processes: Sequence[psutil.Process], escalation: Escalation) -> bool:
    """Send one signal after the other, each with its seconds to work, until all are gone. Returns whether they are."""
    alive = list(processes)
    for number, seconds in escalation:
        for process in alive:
            _signal(process, number)
        _, alive = psutil.wait_procs(alive, timeout=seconds)
        if not alive:
            break
    return not alive


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):  # gone already, which is what we want
        process.send_signal(number)  # psutil compares the start time first: a reused id is not signalled


def _processes(matches: Callable[[psutil.Process], bool]) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and matches(process):
                found.append(process)
        except (psutil.Error, OSError):
            continue  # ended meanwhile, or another user's: not ours either way
    return found
