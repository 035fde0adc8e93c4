"""Answers kept under the keys that clients give their requests, so that sending one again changes nothing more.

All three steps belong to the one transaction of the request: `claim` the key, do what was asked, `keep` the answer.
A process that dies takes effect and answer along; what was committed is answered again.
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
"""How long a key is its first request's."""

_PURGE_BATCH: Final = 5000


class IdempotencyKey(Base):
    """One key with the answer to its request. `scope` is the user's id or ANONYMOUS: keys of others are other keys."""

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
    """What is answered again: the HTTP status, the headers worth it, the bytes."""

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


def claim(session: Session, *, scope: int, key: str, request_hash: bytes) -> KeptAnswer | None:
    """Take the key for this transaction; returns the answer it already has, if any. Two statements.

    `request_hash` stands for the whole request. Raises Refused with REQUEST_RUNNING (and the seconds to wait) while
    another transaction has the key, and with KEY_REUSED where the answer is to another request.
    """
    if not session.scalars(_LOCK, {"lock": _lock_of(scope, key)}).one():
        raise Refused(Answer.REQUEST_RUNNING, retry_after=1)
    # A statement of its own: it has to see what the key's last holder committed before letting go.
    kept = session.execute(_KEPT, {"scope": scope, "key": key, "since": utcnow() - RETENTION}).one_or_none()
    if kept is None:
        return None
    if kept.request_hash != request_hash:
        raise Refused(Answer.KEY_REUSED)
    return KeptAnswer(http_status=kept.http_status, headers=kept.headers, body=kept.body)


def keep(session: Session, *, scope: int, key: str, request_hash: bytes, answer: KeptAnswer) -> None:
    """Keep the answer under a key that this transaction has claimed; one that outlived RETENTION gives way."""
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
    """Delete the keys from before that moment (UTC), some at a time; returns how many. Several may run at once."""
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
    """The key as a number for PostgreSQL's advisory locks, which all of the database's users share."""
    digest = hashlib.blake2b(f"{scope}:{key}".encode(), digest_size=8, person=b"idempotency-key").digest()
    return int.from_bytes(digest, signed=True)
