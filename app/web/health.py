"""Liveness, readiness and metrics, for supervisors, load balancers and Prometheus."""

import functools
from collections.abc import Callable
from typing import Final

import structlog
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask, Response, current_app
from redis.exceptions import RedisError
from rq import Queue
from rq.utils import as_text, utcparse
from rq.worker_registration import get_keys
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from typing_extensions import TypedDict

from app.answers import Answer, Refused
from app.clock import utcnow
from app.db.transactions import reading
from app.extensions import valkey
from app.outbox.service import relay_runs
from app.periodic.queries import periodic_jobs, scheduler_leads
from app.settings import settings
from app.version import __version__
from app.vision import is_installed
from app.web import metrics
from app.web.api import Api
from config import PROJECT_ROOT, UnseenPictures

log = structlog.get_logger(__name__)

_REGISTERED: Final = "saltfish.readiness"

health = Api("health", __name__, tag="运维", about="liveness, readiness, metrics")


class AliveOut(TypedDict):
    """The process answers."""

    version: str


class CheckOut(TypedDict):
    """One thing that the product needs. `detail` names the fault, never an address or a secret."""

    name: str
    ok: bool
    detail: str


class ReadyOut(TypedDict):
    """All of them."""

    checks: list[CheckOut]


@health.get("/healthz", strangers=True, out=AliveOut)  # probes add what keeps caches away
def alive() -> AliveOut:
    """Is this process alive?

    Touches neither database nor Valkey: a fault there is not cured by restarting this process.
    """
    return {"version": __version__}


@health.get("/readyz", strangers=True, out=ReadyOut, refuses=(Answer.NOT_READY,))
def ready() -> ReadyOut:
    """Can the whole product work?

    The database answers and stands at the newest migration, or ahead of it during an upgrade; Valkey answers; workers
    listen to every queue, relay and scheduler run, no sweep is overdue; search can answer. 503 while one of them fails,
    with all of them named in `data`.
    """
    registered: dict[str, Callable[[], str]] = current_app.extensions.get(_REGISTERED, {})
    checks = [_checked(name, check) for name, check in [*_CHECKS, *registered.items()]]
    if not all(check["ok"] for check in checks):
        raise Refused(Answer.NOT_READY, data={"checks": checks})
    return {"checks": checks}


@health.get(
    "/metrics",
    strangers=True,
    media=("text/plain; version=0.0.4; charset=utf-8",),
    refuses=(Answer.NO_SUCH_URL, Answer.TOKEN_INVALID),
)
def show_metrics() -> Response:
    """Metrics for Prometheus.

    Where `METRICS_TOKEN` is set, for whoever sends it as a bearer token. Where it is not, for callers on this machine,
    and in production for nobody.
    """
    metrics.require_reader()
    return metrics.exposition()


def register_check(app: Flask, name: str, check: Callable[[], tuple[bool, str]]) -> None:
    """Let `/readyz` of `app` also make this check, which says whether all is well, and more in words."""
    app.extensions.setdefault(_REGISTERED, {})[name] = functools.partial(_said, check)


def _said(check: Callable[[], tuple[bool, str]]) -> str:
    ok, detail = check()
    if not ok:
        raise _Failed(detail)
    return detail


class _Failed(Exception):  # noqa: N818 - it says what happened
    """A check found a fault; the text describes it."""


def _checked(name: str, check: Callable[[], str]) -> CheckOut:
    try:
        return {"name": name, "ok": True, "detail": check()}
    except _Failed as failure:
        return {"name": name, "ok": False, "detail": str(failure)}
    except (SQLAlchemyError, RedisError) as error:
        log.warning("readiness_check_failed", check=name, error=str(error))
        return {"name": name, "ok": False, "detail": type(error).__name__}  # its text may name hosts and users


def _database() -> str:
    with reading() as connection:
        connection.execute(text("SELECT 1"))
    return "answers"


def _valkey() -> str:
    valkey().ping()
    return "answers"


def _migrations() -> str:
    with reading() as connection:
        present = set(MigrationContext.configure(connection).get_current_heads())
    newest, known = _migrations_here()
    if present - known:  # an upgrade is under way, and its migrations are made for the version before, too
        return f"at {_named(present)}, ahead of this version's {_named(newest)}"
    if present != newest:
        raise _Failed(f"at {_named(present)}, newest is {_named(newest)}")
    return f"at {_named(present)}"


@functools.cache
def _migrations_here() -> tuple[frozenset[str], frozenset[str]]:
    """The newest migrations that this version knows, and all of them."""
    scripts = ScriptDirectory(str(PROJECT_ROOT / "migrations"))
    return frozenset(scripts.get_heads()), frozenset(script.revision for script in scripts.walk_revisions())


def _named(revisions: set[str] | frozenset[str]) -> str:
    return ", ".join(sorted(revisions)) or "none"


def _worker(queue: str) -> str:
    connection = valkey()
    beats = [
        utcparse(as_text(beat))
        for key in get_keys(Queue(queue, connection=connection))
        if (beat := connection.hget(key, "last_heartbeat"))
    ]
    if not beats:
        raise _Failed("no worker")
    age = (utcnow() - max(beats)).total_seconds()
    if abs(age) > settings().worker_heartbeat_limit:  # in the future: from before the clock was set back
        raise _Failed(f"last heartbeat {age:.0f} s ago")
    return f"{len(beats)} listening, last heartbeat {max(age, 0):.0f} s ago"


def _vision() -> str:
    if is_installed():
        return "installed"
    # No fault: who runs the product has chosen so, and said what becomes of pictures.
    return f"not installed: pictures of goods {_UNSEEN[settings().pictures_unseen]}"


def _relay() -> str:
    if not relay_runs():
        raise _Failed("no heartbeat")
    return "running"


def _scheduler() -> str:
    if not scheduler_leads():
        raise _Failed("no heartbeat")
    return "running"


def _periodic_jobs() -> str:
    jobs = periodic_jobs()
    if not jobs:
        raise _Failed("no scheduler has listed any yet")
    overdue = [f"{job.name}: last done {job.since:.0f} s ago, every {job.every} s" for job in jobs if job.overdue]
    if overdue:
        raise _Failed("; ".join(overdue))
    return f"{len(jobs)} on time"


_UNSEEN: Final = {UnseenPictures.REVIEW: "wait for a person", UnseenPictures.PASS: "pass unseen"}

_CHECKS: tuple[tuple[str, Callable[[], str]], ...] = (
    ("database", _database),
    ("migrations", _migrations),
    ("valkey", _valkey),
    ("worker_default", functools.partial(_worker, "default")),
    ("worker_search", functools.partial(_worker, "search")),
    ("worker_vision", functools.partial(_worker, "vision")),
    ("vision", _vision),
    ("relay", _relay),
    ("scheduler", _scheduler),
    ("periodic_jobs", _periodic_jobs),
)
