"""Steps that tests of reviews share."""

import hashlib
from typing import Any

from flask import Flask
from sqlalchemy import delete, func, insert, select, text, update

from app.clock import utcnow
from app.db.database import db
from app.goods.models import Good, Picture, Verdict, VerdictKind
from app.goods.storage import picture_storage
from app.moderation.checks import rules_version_of
from app.outbox.models import OutboxMessage
from statemachine import GoodStatus
from tests.factories import Made, make_good, make_user, photo_bytes


def good_in_review(app: Flask, **columns: Any) -> Made:
    """A good that waits for its review, of an owner of its own."""
    return make_good(app, make_user(app), status=GoodStatus.IN_REVIEW, **columns)


def add_picture(
    app: Flask,
    good: Made,
    *,
    position: int | None = 0,
    stored: bool = True,
    width: int = 160,
    data: bytes | None = None,
) -> int:
    """A picture of the good, `data` or a plain one; its bytes lie in the storage if `stored`. Returns its id."""
    data = data or photo_bytes(width, width)
    sha256 = hashlib.sha256(data).hexdigest()
    values = {
        "good_id": good.id,
        "position": position,
        "sha256": sha256 if stored else hashlib.sha256(b"nowhere").hexdigest(),
        "content_type": "image/jpeg",
        "size": len(data),
        "width": width,
        "height": 120,
        "created_at": utcnow(),
    }
    with app.app_context(), db.engine.begin() as connection:
        if stored:
            picture_storage().put(sha256, data)
        return int(connection.execute(insert(Picture).values(**values).returning(Picture.id)).scalar_one())


def let_pass(app: Flask, good: Made, picture_id: int) -> None:
    """Verdicts of the machine that let the good's first revision pass, without a look at anything."""
    columns = {"good_id": good.id, "revision": 1, "passed": True, "state": "passed", "reasons": [], "hits": []}
    with app.app_context(), db.engine.begin() as connection:
        sha256 = connection.scalar(select(Picture.sha256).where(Picture.id == picture_id))
        for kind, subject, content_hash in (
            (VerdictKind.TEXT, "title", ""),
            (VerdictKind.TEXT, "description", ""),
            (VerdictKind.PICTURE, f"picture:{picture_id}", sha256),
        ):
            known = {"kind": kind.value, "subject": subject, "content_hash": content_hash, "created_at": utcnow()}
            version = rules_version_of(kind)
            connection.execute(insert(Verdict).values(**columns, **known, rules_version=version))


def row_of(app: Flask, good: Made) -> dict[str, Any]:
    """The good's row."""
    with app.app_context(), db.engine.connect() as connection:
        return dict(connection.execute(select(Good.__table__).where(Good.id == good.id)).one()._mapping)


def status_of(app: Flask, good: Made) -> int:
    """The good's status."""
    return int(row_of(app, good)["status"])


def change(app: Flask, good: Made, **columns: Any) -> None:
    """Write columns of the good behind everybody's back."""
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Good).where(Good.id == good.id).values(**columns))


def verdicts_of(app: Flask, good: Made) -> dict[tuple[int, str, str], list[str]]:
    """Reasons by `(revision, kind, subject)`; checks that `passed` agrees with them."""
    with app.app_context(), db.engine.connect() as connection:
        found = connection.execute(select(Verdict.__table__).where(Verdict.good_id == good.id)).all()
    for verdict in found:
        assert verdict.passed is (verdict.reasons == [])
    return {(verdict.revision, verdict.kind, verdict.subject): verdict.reasons for verdict in found}


def messages(app: Flask) -> list[tuple[str, int]]:
    """`(topic, subject)` of each message in the outbox, oldest first."""
    with app.app_context(), db.engine.connect() as connection:
        statement = select(OutboxMessage.topic, OutboxMessage.subject_id).order_by(OutboxMessage.id)
        return [(topic, subject) for topic, subject in connection.execute(statement)]


def add_message(app: Flask, topic: str, subject_id: int) -> None:
    """A message in the outbox."""
    values = {"topic": topic, "subject_id": subject_id, "created_at": utcnow()}
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(insert(OutboxMessage).values(**values))


def forget_messages(app: Flask) -> None:
    """Empty the outbox."""
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(delete(OutboxMessage))


def count_verdicts(app: Flask) -> int:
    """How many verdicts there are."""
    with app.app_context(), db.engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(Verdict)).scalar_one())


def waiting_for_locks(app: Flask) -> int:
    """How many sessions of the tests' database wait for a lock."""
    with app.app_context(), db.engine.connect() as connection:
        waiting = text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return int(connection.execute(waiting).scalar_one())
