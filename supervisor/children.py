"""Child processes that do not outlive us, and the ones that did after all.

On Linux the kernel ends a child when its parent dies, `kill -9` included (`PR_SET_PDEATHSIG`). Elsewhere, and
for grandchildren, the next start finds what is left by an environment marker or by the folder it works in;
never by a process id read from a file, which may belong to somebody else by now.
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

Ladder = tuple[tuple[signal.Signals, float], ...]
"""Signals to send, each with the seconds to wait for it to work."""

TERM_THEN_KILL: Ladder = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0))

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

    `account` is taken on in the child before the program starts. `output` receives stdout and stderr together.
    Call it from the main thread only: the death signal fires when the *thread* that forked ends.
    Raises `OSError` if the program cannot be started.
    """
    parent = os.getpid()

    def die_with_parent() -> None:
        # Between fork and exec, after the change of user (which would clear the setting).
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
            if os.getppid() != parent:  # it died before we asked
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
    # The kernel gives out no process id that still names a session, so this cannot meet a stranger.
    return _processes(lambda process: os.getsid(process.pid) == leader)


def working_in(folder: Path, names: Iterable[str]) -> list[psutil.Process]:
    """Processes with one of these program names whose current directory is `folder`."""
    wanted = frozenset(names)
    return _processes(lambda process: process.name() in wanted and process.cwd() == str(folder))


def end(processes: Sequence[psutil.Process], ladder: Ladder) -> bool:
    """Send each signal of the ladder, giving its seconds to obey, until all are gone; whether they are."""
    alive = list(processes)
    for number, patience in ladder:
        for process in alive:
            _signal(process, number)
        _, alive = psutil.wait_procs(alive, timeout=patience)
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
