"""The whole product as processes of our own: each can be killed by itself, and comes back as under a supervisor."""

import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import redis

from supervisor import children, product
from supervisor.engines import EmbeddedPostgres, EmbeddedValkey, Engine
from supervisor.options import PROJECT, Options
from tests.live import call, free_port

# All that waits for days in a shop fires within the storm.
SETTINGS = {
    "EXPIRE_AFTER": "20",
    "REFUND_UNSHIPPED_AFTER": "30",
    "RECEIVE_AFTER": "20",
    "SETTLE_AFTER": "10",
    "APPROVE_REFUND_UNSHIPPED_AFTER": "15",
    "APPROVE_REFUND_SHIPPED_AFTER": "15",
    "LAPSE_AFTER": "15",
    "ACCEPT_RETURN_AFTER": "15",
    **{
        f"{name}_REMINDER": "5"
        for name in ("EXPIRE", "REFUND_UNSHIPPED", "RECEIVE", "SETTLE", "LAPSE", "ACCEPT_RETURN")
    },
    "APPROVE_REFUND_UNSHIPPED_REMINDER": "5",
    "APPROVE_REFUND_SHIPPED_REMINDER": "5",
    "PAYMENT_QUERY_AFTER": "3",
    "ALIPAY_TIMEOUT": "4",
    "OUTBOX_LEASE": "20",
    "REVIEW_SWEEP_AFTER": "15",
    # The clients are few and busy.
    "RATE_LIMITS_ENABLED": "0",
    "UNPAID_ORDERS_LIMIT": "1000",
    "EXPIRED_ORDERS_ALLOWED": "1000000",
    "CANCELLED_ORDERS_ALLOWED": "1000000",
    "GOODS_IN_REVIEW_LIMIT": "1000",
    "WITHDRAW_DAILY_LIMIT": "1000000",
    "ACCESS_TOKEN_LIFETIME": "86400",
    "LOG_LEVEL": "WARNING",
    "JWT_SECRET_KEY": "secret-key-of-the-storm-0123456789abcdef",
    "SANDBOX_NOTIFY_FACTOR": "0.01",  # the first repetition after 2.4 s
}

_PATIENCE = 60.0
_RESTART_AFTER = 0.3


@dataclass(eq=False)
class Member:
    """One process of the market. `is_up` tells whether it works again; `started` is when it was started last."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    log: Path
    is_up: Callable[[], bool]
    popen: "subprocess.Popen[bytes] | None" = None
    ended_at: float | None = None
    starts: int = 0

    def start(self) -> None:
        """Start it, from the main thread (see `children.spawn`)."""
        with self.log.open("ab") as output:
            self.popen = children.spawn(self.command, env=self.env, cwd=PROJECT, output=output)
        self.ended_at = None
        self.starts += 1

    def kill(self, *, whole: bool) -> None:
        """SIGKILL it, with `whole` all that it started too; without, what it started lives on as an orphan."""
        assert self.popen is not None
        family = children.in_session(self.popen.pid) if whole else []
        self.popen.kill()
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.popen.wait()

    def end(self) -> None:
        """SIGTERM, then SIGKILL, to it and all that it started."""
        assert self.popen is not None
        children.end(children.in_session(self.popen.pid), children.TERM_THEN_KILL)
        self.popen.wait()


@dataclass
class Kill:
    """One thing that was done to a process, and the seconds until the process worked again."""

    what: str
    at: float
    back_after: float | None = None


@dataclass
class Market:
    """The running processes. All but `ports` and `gateway_url` is for the main thread."""

    folder: Path
    env: dict[str, str]
    engines: dict[str, Engine]
    ports: tuple[int, ...]
    gateway_url: str
    members: dict[str, Member]
    kills: list[Kill] = field(default_factory=list)
    ended_by_themselves: list[str] = field(default_factory=list)
    _waiting: list[tuple[Kill, Callable[[], bool]]] = field(default_factory=list)

    def targets(self) -> Iterator[Callable[[random.Random], None]]:
        """What to kill, in turn, for ever."""
        while True:
            yield lambda _: self._kill_member("web-1", whole=True)
            yield lambda dice: self._kill_member("worker-1", whole=dice.random() < 0.5)
            yield lambda _: self._kill_member("relay-1", whole=True)
            yield lambda _: self._kill_engine("postgres")
            yield lambda _: self._kill_member("scheduler", whole=True)
            yield lambda dice: self._kill_member("worker-2", whole=dice.random() < 0.5)
            yield lambda _: self._kill_engine("valkey")
            yield lambda _: self._kill_member("web-2", whole=True)
            yield self._kill_backend
            yield lambda _: self._kill_member("relay-2", whole=True)
            yield lambda _: self._kill_member("search", whole=True)
            yield lambda _: self._kill_member("vision", whole=True)
            yield self._kill_horse

    def flush_valkey(self) -> bool:
        """Take everything from Valkey, as FLUSHALL by mistake does; False where it does not answer."""
        try:
            with redis.Redis.from_url(self.env["REDIS_URL"]) as connection:
                connection.flushall()
        except redis.RedisError:
            return False
        self._note("valkey's contents").back_after = 0.0
        return True

    def restart_ended(self) -> None:
        """Start again what ended, and note what works again. To be called a few times a second."""
        now = time.monotonic()
        for engine in self.engines.values():
            if engine.exited() is not None:
                engine.stop()
                engine.start()
        for member in self.members.values():
            assert member.popen is not None
            if member.popen.poll() is None:
                continue
            if member.ended_at is None:
                member.ended_at = now
                self.ended_by_themselves.append(f"{member.name} (status {member.popen.returncode})")
            if now - member.ended_at >= _RESTART_AFTER:
                member.start()
        for waiting in list(self._waiting):
            kill, is_back = waiting
            if is_back():
                kill.back_after = time.monotonic() - kill.at
                self._waiting.remove(waiting)

    def _kill_member(self, name: str, *, whole: bool) -> None:
        member = self.members[name]
        assert member.popen is not None
        if member.popen.poll() is not None:
            return
        starts = member.starts
        kill = self._note(name.partition("-")[0] + ("" if whole else " alone"))
        member.kill(whole=whole)
        member.ended_at = time.monotonic()
        self._waiting.append((kill, lambda: member.starts > starts and member.is_up()))

    def _kill_engine(self, name: str) -> None:
        engine = self.engines[name]
        if engine.pid is None or engine.exited() is not None:
            return
        kill = self._note(name)
        os.kill(engine.pid, signal.SIGKILL)
        while engine.exited() is None:
            time.sleep(0.01)  # a zombie for a moment: nothing to poll but the process itself
        self._waiting.append((kill, lambda: engine.exited() is None))

    def _kill_backend(self, dice: random.Random) -> None:
        """Kill one of PostgreSQL's own children: it ends all sessions, recovers, and goes on."""
        backends = self._children_of(self.engines["postgres"].pid, "[local]")
        if backends:
            self._note("postgres backend").back_after = 0.0
            with suppress(psutil.NoSuchProcess):
                dice.choice(backends).kill()

    def _kill_horse(self, dice: random.Random) -> None:
        """Kill a process that a worker started, mostly to run a job, and leave the worker."""
        popen = self.members[dice.choice(["worker-1", "worker-2"])].popen
        horses = self._children_of(popen.pid if popen else None, "")
        if horses:
            self._note("worker's child").back_after = 0.0
            with suppress(psutil.NoSuchProcess):
                dice.choice(horses).kill()

    @staticmethod
    def _children_of(pid: int | None, words: str) -> list[psutil.Process]:
        found = []
        with suppress(psutil.NoSuchProcess):
            for process in psutil.Process(pid).children() if pid else []:
                with suppress(psutil.NoSuchProcess):
                    if words in " ".join(process.cmdline()):
                        found.append(process)
        return found

    def _note(self, what: str) -> Kill:
        self.kills.append(Kill(what, time.monotonic()))
        return self.kills[-1]

    def wait_until_up(self) -> None:
        """Return once every process works. Raises AssertionError where one does not."""
        until = time.monotonic() + _PATIENCE
        while not all(member.is_up() for member in self.members.values()):
            self.restart_ended()
            assert time.monotonic() < until, [name for name, member in self.members.items() if not member.is_up()]
            time.sleep(0.1)


@contextmanager
def running_market(*, keep: bool = False) -> Iterator[Market]:
    """The market in a folder of its own under /tmp, migrated and empty; everything ends with the block.

    The folder, with all logs, stays where the block raises, or with `keep`.
    """
    folder = Path(tempfile.mkdtemp(prefix="saltfish-storm-"))
    folder.chmod(0o711)  # the engines' user must get through
    engines: dict[str, Engine] = {
        "postgres": EmbeddedPostgres(folder / "postgres"),
        "valkey": EmbeddedValkey(folder / "valkey"),
    }
    ports = (free_port(), free_port())
    gateway_port = free_port()
    options = Options(instance=folder / "instance", port=ports[0], gateway_port=gateway_port, environment="testing")
    members: dict[str, Member] = {}
    try:
        for engine in engines.values():
            engine.start()
        urls = {"DATABASE_URL": engines["postgres"].url, "REDIS_URL": engines["valkey"].url}
        env = product.process_environment(options, urls, {**os.environ, **SETTINGS})
        for step in product.preparations(options):
            subprocess.run(step.command, env=env, cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)
        members = _members(options, env, ports, folder)
        for member in members.values():
            member.start()
        made = Market(folder, env, engines, ports, f"http://127.0.0.1:{gateway_port}", members)
        made.wait_until_up()
        yield made
    except BaseException:
        print(f"logs and data are in {folder}")
        _stop(members.values(), engines.values())
        raise
    _stop(members.values(), engines.values())
    if keep:
        print(f"logs and data are in {folder}")
        return
    for engine in engines.values():
        engine.delete()
    shutil.rmtree(folder)


def _stop(members: Iterable[Member], engines: Iterable[Engine]) -> None:
    for member in reversed(list(members)):
        if member.popen is not None:
            member.end()
    for engine in engines:
        engine.stop()


def _members(options: Options, env: Mapping[str, str], ports: Sequence[int], folder: Path) -> dict[str, Member]:
    """The supervisor's own process table: web and relay twice, one by one."""
    made: dict[str, Member] = {}
    for process in product.process_table(options):
        count = {"web": len(ports), "relay": 2}.get(process.name, process.count)
        for number in range(1, count + 1):
            name = process.name if count == 1 else f"{process.name}-{number}"
            variables = dict(env)
            is_up = _runs(made, name)
            if process.name == "web":
                port = ports[number - 1]
                # Each as if it were at the address that the gateway knows: a proxy in front would do that.
                variables |= {"PORT": str(port), "WEB_WORKERS": "1", "PUBLIC_URL": options.base_url}
                is_up = _answers(port)
            elif process.name == "gateway":
                is_up = _answers(options.gateway_port)
            made[name] = Member(name, process.command, variables, folder / f"{name}.log", is_up)
    return made


def _answers(port: int) -> Callable[[], bool]:
    def probe() -> bool:
        try:
            return call(port, "GET", "/healthz").status == 200
        except OSError:
            return False

    return probe


def _runs(members: Mapping[str, Member], name: str) -> Callable[[], bool]:
    def probe() -> bool:
        popen = members[name].popen
        return popen is not None and popen.poll() is None

    return probe
