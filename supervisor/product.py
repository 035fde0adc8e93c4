"""The product as processes: what is prepared, what runs, with which environment, and on which engines."""

from __future__ import annotations

import fcntl
import http.client
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from shutil import rmtree

from . import children
from .engines import EmbeddedPostgres, EmbeddedValkey, Engine
from .errors import StartError
from .options import Options
from .processes import Process

INSTANCE_FOLDERS = ("heartbeats", "keys", "metrics", "pictures", "sandbox", "search")
"""What the application keeps in the instance folder, beside the engines' own."""

WEB = "web"
"""The name of the process whose children are the web processes."""

_TEMPORARY_PREFIX = "saltfish-engines-"
_TEMPORARY_LOCK = "lock"
_STALE_SECONDS = 60.0  # a younger temporary folder may belong to a run that has not locked it yet


def _module(name: str, *words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name, *words)


def preparations(options: Options) -> tuple[Process, ...]:
    """What runs to its end, in this order, before the product starts; each may run again."""
    keys = Process("keys", _module("app.money.sandbox", "keys", "--dir", str(options.instance / "keys")))
    migrate = Process("migrate", _module("flask", "--app", "wsgi", "db", "upgrade"))
    seed = Process("seed", _module("flask", "--app", "wsgi", "seed"))
    return (
        *((keys,) if options.runs_sandbox else ()),
        migrate,
        *((seed,) if options.environment == "development" else ()),  # its passwords are public
    )


def process_table(options: Options) -> tuple[Process, ...]:
    """What runs, in the order in which it starts; it ends in the opposite one."""
    gateway = Process("gateway", _module("app.money.sandbox", "serve"))
    return (
        *((gateway,) if options.runs_sandbox else ()),
        Process(WEB, _module("app.web.server")),
        Process("relay", _module("tasks.relay")),
        Process("worker", _module("tasks.worker", "default"), count=options.workers),
        Process("search", _module("tasks.worker", "search")),  # exactly one: the index has a single writer
        Process("vision", _module("tasks.worker", "vision"), count=options.vision_workers),
        Process("scheduler", _module("tasks.scheduler")),
    )


def process_environment(options: Options, urls: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of all processes: `environ` of the caller, with what they need added where it is not set."""
    env = dict(environ)
    env |= {
        "SALTFISH_ENV": options.environment,
        "INSTANCE_PATH": str(options.instance),
        "HOST": options.host,
        "PORT": str(options.port),
        "GATEWAY_HOST": options.gateway_host,
        "GATEWAY_PORT": str(options.gateway_port),
        "WEB_WORKERS": str(options.web_workers),
        "WEB_HEARTBEAT_PATH": str(heartbeat_folder(options)),
        "PROMETHEUS_MULTIPROC_DIR": str(metrics_folder(options)),
        "PYTHONUNBUFFERED": "1",  # or a log line shows when the next 8 KiB are full
        **urls,
    }
    defaults = {}
    if options.runs_sandbox:
        defaults["SANDBOX_KEYS"] = str(options.instance / "keys")
        defaults["SANDBOX_STORE"] = str(options.instance / "sandbox" / "trades.sqlite3")
    if options.environment == "development":
        defaults["CAPTCHA_REVEAL"] = "1"  # so that the README's walk can be typed; production refuses it
    return env | {name: value for name, value in defaults.items() if not env.get(name)}


def close_private_folders(options: Options) -> None:
    """Let only their owner look into the folders of keys and of the sandbox, also those of an earlier version."""
    for name in ("keys", "sandbox"):
        folder = options.instance / name
        folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)


def metrics_folder(options: Options) -> Path:
    """Where the web processes keep their counters, so that `/metrics` can add them up; made empty if need be."""
    folder = options.instance / "metrics"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def heartbeat_folder(options: Options) -> Path:
    """Where the web processes show that they answer; made if need be."""
    folder = options.instance / "heartbeats"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def forget_earlier_runs(options: Options) -> None:
    """Delete what web processes of earlier runs left, each under its process id: counters, which prometheus-client
    wants gone at the start, and signs of life, whose ids may by now belong to others.
    """
    for left in (*metrics_folder(options).glob("*.db"), *heartbeat_folder(options).glob("[0-9]*")):
        left.unlink()


def engines(options: Options, folder: Path, *, durable: bool = True) -> dict[str, Engine]:
    """The engines to start under `folder`, by the environment variable for their URL; none where that is set."""
    wanted: dict[str, Engine] = {}
    if not options.database_url:
        wanted["DATABASE_URL"] = EmbeddedPostgres(folder / "postgres", durable=durable)
    if not options.redis_url:
        wanted["REDIS_URL"] = EmbeddedValkey(folder / "valkey", durable=durable)
    return wanted


@contextmanager
def running(wanted: Mapping[str, Engine]) -> Iterator[dict[str, str]]:
    """Start engines and yield their URLs by variable; stop them, the last one first, at the end."""
    with ExitStack() as stack:
        for engine in wanted.values():
            stack.enter_context(engine)
        yield {variable: engine.url for variable, engine in wanted.items()}


@contextmanager
def temporary_engines(options: Options) -> Iterator[dict[str, str]]:
    """Engines for one test run, in a temporary folder that is removed with them; their data would survive no crash."""
    _remove_stale_temporary_folders()
    folder = Path(tempfile.mkdtemp(prefix=_TEMPORARY_PREFIX))
    folder.chmod(0o711)  # nobody else can list it, but the servers' user can reach the folders in it
    wanted = engines(options, folder, durable=False)
    # Held until the folder is removed. Released earlier, another run could take the folder for a leftover meanwhile.
    with (folder / _TEMPORARY_LOCK).open("a") as lock:
        _try_lock(lock.fileno())
        try:
            with running(wanted) as urls:
                yield urls
        finally:
            _remove_temporary(folder)


def _remove_temporary(folder: Path) -> None:
    with suppress(FileNotFoundError):  # two runs that start at the same moment may clear the same leftovers
        for engine in (EmbeddedPostgres(folder / "postgres"), EmbeddedValkey(folder / "valkey")):
            engine.delete()
        rmtree(folder)


def _remove_stale_temporary_folders() -> None:
    """Remove the folders of runs that were killed before they could do it themselves."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_TEMPORARY_PREFIX}*"):
        # FileNotFoundError: another run that starts just now has removed it.
        # StartError: a server in it does not end, or somebody has started it by hand and uses it.
        with suppress(FileNotFoundError, StartError):
            found = folder.lstat()
            if found.st_uid != os.geteuid() or time.time() - found.st_mtime <= _STALE_SECONDS:
                continue
            with (folder / _TEMPORARY_LOCK).open("a") as lock:
                if _try_lock(lock.fileno()):
                    _remove_temporary(folder)


@contextmanager
def only_one(instance: Path) -> Iterator[None]:
    """Hold the lock of an instance folder; first end processes that an earlier supervisor of it left running.

    Raises `StartError` if another supervisor is running there.
    """
    try:
        instance.mkdir(parents=True, exist_ok=True)
        lock = (instance / "supervisor.lock").open("a+")
    except OSError as error:
        raise StartError(f"cannot use {instance}: {error.strerror}") from error
    with lock:
        if not _try_lock(lock.fileno()):
            lock.seek(0)
            raise StartError(
                f"already running in {instance} (process {lock.read().strip() or 'unknown'}); stop that one first, "
                f"or give this one its own INSTANCE_PATH, PORT and GATEWAY_PORT"
            )
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        if not children.end(children.marked(str(instance)), children.TERM_THEN_KILL):
            raise StartError("processes of an earlier run do not end")
        yield


def is_running(instance: Path) -> bool:
    """Whether a supervisor is running in this instance folder."""
    try:
        with (instance / "supervisor.lock").open("a+") as lock:
            return not _try_lock(lock.fileno())
    except FileNotFoundError:
        return False


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def readiness(options: Options) -> tuple[int, str]:
    """Status and body of `/readyz`; status 0 while nothing answers."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(options.host, options.host)  # noqa: S104 - connects, not binds
    connection = http.client.HTTPConnection(host, options.port, timeout=2.0)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error)
    finally:
        connection.close()
