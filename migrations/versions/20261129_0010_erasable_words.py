"""What people wrote leaves the append-only rows: a salted digest stays there, the words can be erased.

Histories are chained anew over the digests; the hash that a line had with its words in it becomes `legacy_hash`, a part
of the line. So files that were exported before can still be checked and compared, and a line that had been changed
before is found out as before.

Revision: 0010
After: 0009
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterator
from datetime import UTC
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_STEP = ("sequence", "event", "role", "actor_id", "from_bill", "from_order", "to_bill", "to_order", "closed")
_GENESIS = "0" * 64
_ORDERS_AT_ONCE = 1000
_ACTIONS_AT_ONCE = 5000


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "erasable_texts",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("salt", sa.String(length=64), nullable=True),
        sa.Column("text", sa.String(length=500), nullable=True),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("erased_by", sa.String(length=60), nullable=True),
        sa.Column("erased_why", sa.String(length=200), nullable=True),
        sa.CheckConstraint(
            "CASE WHEN erased_at IS NULL THEN num_nulls(salt, text) = 0 AND num_nonnulls(erased_by, erased_why) = 0 "
            "ELSE num_nonnulls(salt, text) = 0 AND num_nulls(erased_by, erased_why) = 0 END",
            name=op.f("ck_erasable_texts_there_or_erased"),
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_erasable_texts")),
    )
    op.add_column("order_events", sa.Column("note_digest", sa.String(length=64), nullable=True))
    op.add_column("order_events", sa.Column("legacy_hash", sa.String(length=64), nullable=True))
    op.add_column("staff_actions", sa.Column("reason_digest", sa.String(length=64), nullable=True))
    with _Unlocked("order_events", "staff_actions"):
        for orders, lines in _histories():
            _chain_anew(orders, lines)
        _move_reasons()
    op.alter_column("staff_actions", "reason_digest", nullable=False)
    for table, column in (("order_events", "note_digest"), ("staff_actions", "reason_digest")):
        op.create_foreign_key(
            op.f(f"fk_{table}_{column}_erasable_texts"), table, "erasable_texts", [column], ["digest"]
        )
    op.drop_column("order_events", "note")
    op.drop_constraint(op.f("ck_staff_actions_has_reason"), "staff_actions", type_="check")
    op.drop_column("staff_actions", "reason")


def downgrade() -> None:
    """Take back. What was erased stays so: a line tells in its place that it was, and files from before differ."""
    op.add_column(
        "order_events", sa.Column("note", sa.String(length=500), server_default=sa.text("''"), nullable=False)
    )
    op.add_column("staff_actions", sa.Column("reason", sa.String(length=500), nullable=True))
    with _Unlocked("order_events", "staff_actions"):
        op.execute("""
            UPDATE order_events SET note = coalesce(words.text, '[内容已删除]')
            FROM erasable_texts AS words WHERE words.digest = note_digest
        """)
        op.execute("""
            UPDATE staff_actions SET reason = coalesce(words.text, '[内容已删除]')
            FROM erasable_texts AS words WHERE words.digest = reason_digest
        """)
        for orders, lines in _histories():
            _chain_as_before(orders, lines)
    op.alter_column("order_events", "note", server_default=None)
    op.alter_column("staff_actions", "reason", nullable=False)
    op.create_check_constraint(op.f("ck_staff_actions_has_reason"), "staff_actions", "reason <> ''")
    op.drop_constraint(op.f("fk_order_events_note_digest_erasable_texts"), "order_events", type_="foreignkey")
    op.drop_constraint(op.f("fk_staff_actions_reason_digest_erasable_texts"), "staff_actions", type_="foreignkey")
    op.drop_column("order_events", "note_digest")
    op.drop_column("order_events", "legacy_hash")
    op.drop_column("staff_actions", "reason_digest")
    op.drop_table("erasable_texts")


class _Unlocked:
    """Lets the append-only tables be changed inside the block; nobody else can meanwhile, as they are locked."""

    def __init__(self, *tables: str) -> None:
        self._tables = tables

    def __enter__(self) -> None:
        for table in self._tables:
            op.execute(f"ALTER TABLE {table} DISABLE TRIGGER {table}_append_only")

    def __exit__(self, *_raised: object) -> None:
        for table in self._tables:
            op.execute(f"ALTER TABLE {table} ENABLE TRIGGER {table}_append_only")


def _histories() -> Iterator[tuple[dict[int, str], list[Any]]]:
    """Some orders at a time: `order_no` by id, and their lines in the order of the chains."""
    connection, last = op.get_bind(), 0
    while True:
        orders = {
            row.id: row.order_no
            for row in connection.execute(
                sa.text("SELECT id, order_no FROM orders WHERE id > :last ORDER BY id LIMIT :count"),
                {"last": last, "count": _ORDERS_AT_ONCE},
            )
        }
        if not orders:
            return
        last = max(orders)
        lines = connection.execute(
            sa.text("SELECT * FROM order_events WHERE order_id = ANY(:ids) ORDER BY order_id, sequence"),
            {"ids": list(orders)},
        )
        yield orders, list(lines.mappings())


def _chain_anew(orders: dict[int, str], lines: list[Any]) -> None:
    texts = {line["id"]: _keep(line["note"], line["at"]) for line in lines if line["note"]}
    _insert(list(texts.values()))
    hashes = {}
    last: dict[int, str] = {}
    for line in lines:
        digest = texts[line["id"]]["digest"] if line["note"] else None
        previous = last.get(line["order_id"], _GENESIS)
        content = _content(line, orders[line["order_id"]], previous)
        content |= {"note_digest": digest, "legacy_hash": line["hash"]}
        last[line["order_id"]] = _sha256(content)
        hashes[line["id"]] = (digest, line["hash"], previous, last[line["order_id"]])
    _write(hashes, last)


def _chain_as_before(orders: dict[int, str], lines: list[Any]) -> None:
    hashes = {}
    last: dict[int, str] = {}
    for line in lines:
        previous = last.get(line["order_id"], _GENESIS)
        content = {**_content(line, orders[line["order_id"]], previous), "note": line["note"]}
        last[line["order_id"]] = _sha256(content)
        hashes[line["id"]] = (line["note_digest"], line["legacy_hash"], previous, last[line["order_id"]])
    _write(hashes, last)


def _content(line: Any, order_no: str, previous: str) -> dict[str, Any]:
    return {
        **{name: line[name] for name in _STEP},
        "order_no": order_no,
        "at": line["at"].astimezone(UTC).isoformat(timespec="microseconds"),
        "previous_hash": previous,
    }


def _sha256(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _write(hashes: dict[int, tuple[str | None, str | None, str, str]], last: dict[int, str]) -> None:
    connection = op.get_bind()
    if not hashes:
        return
    digests, legacy, previous, new = zip(*hashes.values(), strict=True)
    connection.execute(
        sa.text("""
            UPDATE order_events SET note_digest = given.digest, legacy_hash = given.legacy,
                previous_hash = given.previous, hash = given.hash
            FROM unnest(CAST(:ids AS bigint[]), CAST(:digests AS text[]), CAST(:legacy AS text[]),
                CAST(:previous AS text[]), CAST(:new AS text[])) AS given (id, digest, legacy, previous, hash)
            WHERE order_events.id = given.id
        """),
        {
            "ids": list(hashes),
            "digests": list(digests),
            "legacy": list(legacy),
            "previous": list(previous),
            "new": list(new),
        },
    )
    connection.execute(
        sa.text("""
            UPDATE orders SET history_hash = given.hash
            FROM unnest(CAST(:ids AS bigint[]), CAST(:hashes AS text[])) AS given (id, hash)
            WHERE orders.id = given.id
        """),
        {"ids": list(last), "hashes": list(last.values())},
    )


def _move_reasons() -> None:
    """The reasons of staff, and the names of users, which their ids tell as long as there is a name."""
    connection, last = op.get_bind(), 0
    while True:
        actions = connection.execute(
            sa.text("SELECT id, reason, at FROM staff_actions WHERE id > :last ORDER BY id LIMIT :count"),
            {"last": last, "count": _ACTIONS_AT_ONCE},
        ).all()
        if not actions:
            break
        last = actions[-1].id
        texts = [_keep(action.reason, action.at) for action in actions]
        _insert(texts)
        connection.execute(
            sa.text("""
                UPDATE staff_actions SET reason_digest = given.digest
                FROM unnest(CAST(:ids AS bigint[]), CAST(:digests AS text[])) AS given (id, digest)
                WHERE staff_actions.id = given.id
            """),
            {"ids": [action.id for action in actions], "digests": [text["digest"] for text in texts]},
        )
    op.execute("UPDATE staff_actions SET details = details - 'username' WHERE details ? 'username'")


def _keep(text: str, written_at: Any) -> dict[str, Any]:
    salt = secrets.token_hex(32)
    digest = hmac.digest(bytes.fromhex(salt), text.encode(), hashlib.sha256).hex()
    return {"digest": digest, "salt": salt, "text": text, "written_at": written_at}


def _insert(texts: list[dict[str, Any]]) -> None:
    if texts:
        table = sa.table("erasable_texts", *map(sa.column, ("digest", "salt", "text", "written_at")))
        op.get_bind().execute(postgresql.insert(table), texts)
