"""Idempotency keys: answers kept under keys that clients send, so that repeating a request changes nothing more.

Three steps share the request's one transaction: `claim_key`, do what was asked, `keep_answer`. A process that dies
leaves neither the effect nor the answer; once both are committed, the kept answer is sent again.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import BigInteger, LargeBinary, SmallInteger, String, bindparam, delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Mapped, Session, mapped_column

from app.answers import Answer, Refused
from app.clock import utcnow
from app.db.columns import Base, created_moment
from app.db.transactions import transaction

ANONYMOUS: Final = 0
"""The scope of callers without a token."""

RETENTION: Final = timedelta(hours=24)
"""How long a key stays bound to its first request."""

_PURGE_BATCH: Final = 5000


class IdempotencyKey(Base):
    """One key with the answer to its request. `scope` is the user's id or ANONYMOUS: users do not share keys."""

    __tablename__ = "idempotency_keys"

    scope: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    request_hash: Mapped[bytes] = mapped_column(LargeBinary)
    http_status: Mapped[int] = mapped_column(SmallInteger)
    headers: Mapped[dict[str, str]] = mapped_column(JSONB)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[created_moment] = mapped_column(index=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAnswer:
    """A kept response: its HTTP status, the headers to send again, the bytes of its body."""

    http_status: int
    headers: dict[str, str]
    body: bytes


_LOCK = select(func.pg_try_advisory_xact_lock(bindparam("lock", type_=BigInteger)))
_KEPT = select(
    IdempotencyKey.request_hash, IdempotencyKey.http_status, IdempotencyKey.headers, IdempotencyKey.body
).where(
    IdempotencyKey.scope == bindparam("scope"),
    IdempotencyKey.key == bindparam("key"),
    IdempotencyKey.created_at > bindparam("since"),
)


def claim_key(session: Session, *, scope: int, key: str, request_hash: bytes) -> KeptAnswer | None:
    """Lock the key until this transaction ends; returns the answer kept under it, if any. Two statements.

    `request_hash` stands for the whole request. Raises Refused with REQUEST_RUNNING (and the seconds to wait) while
    another transaction holds the key, and with KEY_REUSED where the kept answer is to a different request.
    """
    if not session.scalars(_LOCK, {"lock": _lock_of(scope, key)}).one():
        raise Refused(Answer.REQUEST_RUNNING, retry_after=1)
    # A separate statement, so that its snapshot includes what the key's last holder committed before unlocking it.
    kept = session.execute(_KEPT, {"scope": scope, "key": key, "since": utcnow() - RETENTION}).one_or_none()
    if kept is None:
        return None
    if kept.request_hash != request_hash:
        raise Refused(Answer.KEY_REUSED)
    return KeptAnswer(http_status=kept.http_status, headers=kept.headers, body=kept.body)


def keep_answer(session: Session, *, scope: int, key: str, request_hash: bytes, answer: KeptAnswer) -> None:
    """Keep the answer under a key that this transaction has claimed; overwrites one that is older than RETENTION."""
    values = {
        "request_hash": request_hash,
        "http_status": answer.http_status,
        "headers": answer.headers,
        "body": answer.body,
        "created_at": utcnow(),
    }
    statement = upsert(IdempotencyKey).values(scope=scope, key=key, **values)
    session.execute(statement.on_conflict_do_update(index_elements=["scope", "key"], set_=values))


def purge(*, before: datetime) -> int:
    """Delete the keys created before that moment (UTC), in batches; returns how many. May run concurrently."""
    primary_key = (IdempotencyKey.scope, IdempotencyKey.key)
    oldest = (
        select(*primary_key)
        .where(IdempotencyKey.created_at < before)
        .order_by(IdempotencyKey.created_at)
        .limit(_PURGE_BATCH)
        .with_for_update(skip_locked=True)
    )
    statement = delete(IdempotencyKey).where(tuple_(*primary_key).in_(oldest)).returning(IdempotencyKey.scope)
    purged = 0
    while True:
        with transaction() as session:
            count = len(session.execute(statement, execution_options={"synchronize_session": False}).all())
        purged += count
        if count < _PURGE_BATCH:
            return purged


def _lock_of(scope: int, key: str) -> int:
    """The key as a number for PostgreSQL's advisory locks. Their numbers are shared by the whole database."""
    digest = hashlib.blake2b(f"{scope}:{key}".encode(), digest_size=8, person=b"idempotency-key").digest()
    return int.from_bytes(digest, signed=True)
