"""Deadlines, disputes, evidence, hash-chained history, payment attempts, staff actions.

Revision: 0005
After: 0004
"""

import hashlib
import json
from datetime import UTC

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_APPEND_ONLY = ("order_events", "staff_actions")

_CHAINED = (
    *("order_no", "sequence", "event", "role", "actor_id", "from_bill", "from_order"),
    *("to_bill", "to_order", "closed", "note"),
)

# The defaults of the clocks as they were when this was written. Nothing acted on them before, so whoever is overdue
# gets a day; only an unpaid order holds a good for nothing.
_DEADLINES = """
    UPDATE orders SET deadline_at = CASE (bill_status::int, order_status::int)
        WHEN (1, 6) THEN phase_since + interval '30 minutes'
        WHEN (2, 6) THEN greatest(phase_since + interval '7 days', now() + interval '1 day')
        WHEN (2, 7) THEN greatest(phase_since + interval '10 days', now() + interval '1 day')
        WHEN (3, 8) THEN greatest(phase_since + interval '7 days', now() + interval '1 day')
        WHEN (4, 6) THEN greatest(phase_since + interval '48 hours', now() + interval '1 day')
        WHEN (4, 7) THEN greatest(phase_since + interval '5 days', now() + interval '1 day')
        WHEN (4, 8) THEN greatest(phase_since + interval '7 days', now() + interval '1 day')
        WHEN (4, 9) THEN greatest(phase_since + interval '10 days', now() + interval '1 day')
    END
    WHERE NOT closed
"""
_HANDOVER_CODES = """
    UPDATE orders SET handover_code = lpad(floor(random() * 1000000)::int::text, 6, '0')
    WHERE trade_mode = 6 AND bill_status IN (2, 4) AND order_status = 6
"""
_REQUESTS = """
    UPDATE refund_requests SET outcome = orders.closed_reason, ended_at = orders.updated_at
    FROM orders WHERE orders.id = refund_requests.order_id AND orders.closed
"""
_PAYMENTS = """
    UPDATE payments SET
        state = CASE WHEN paid_at IS NOT NULL THEN 'paid' WHEN orders.closed THEN 'closed' ELSE 'open' END,
        query_at = CASE WHEN paid_at IS NULL AND NOT orders.closed THEN now() END
    FROM orders WHERE orders.id = payments.order_id
"""
# Refunds used to be asked for again by a sweep; now their message in the outbox stays until they are confirmed.
_OWED = """
    INSERT INTO outbox (topic, subject_id, stream, due_at, created_at)
    SELECT 'payment_refund', refunds.id, 'payment:' || payment_id, now(), now() FROM refunds
    WHERE state = 'pending'
    AND NOT EXISTS (SELECT 1 FROM outbox WHERE topic = 'payment_refund' AND subject_id = refunds.id)
"""


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "staff_actions",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("actor_id", sa.BigInteger(), nullable=True),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=20), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("reason <> ''", name=op.f("ck_staff_actions_has_reason")),
        sa.ForeignKeyConstraint(["actor_id"], ["users.id"], name=op.f("fk_staff_actions_actor_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_actions")),
    )
    op.create_index("ix_staff_actions_subject_subject_id", "staff_actions", ["subject", "subject_id"], unique=False)
    op.create_table(
        "disputes",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("raised_by", sa.BigInteger(), nullable=False),
        sa.Column("role", sa.String(length=10), nullable=False),
        sa.Column("event", sa.String(length=30), nullable=False),
        sa.Column("reason", sa.String(length=100), nullable=False),
        sa.Column("description", sa.String(length=500), nullable=False),
        sa.Column("statements", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.String(length=30), nullable=True),
        sa.Column("outcome_note", sa.Text(), server_default="", nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_disputes_order_id_orders")),
        sa.ForeignKeyConstraint(["raised_by"], ["users.id"], name=op.f("fk_disputes_raised_by_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_disputes")),
    )
    op.create_index("ix_disputes_order_id_id", "disputes", ["order_id", "id"], unique=False)
    op.create_index(
        "uq_disputes_open_order", "disputes", ["order_id"], unique=True, postgresql_where=sa.text("ended_at IS NULL")
    )
    op.create_table(
        "evidence_pictures",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("refund_request_id", sa.BigInteger(), nullable=True),
        sa.Column("dispute_id", sa.BigInteger(), nullable=True),
        sa.Column("uploader_id", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("content_type", sa.String(length=20), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(refund_request_id IS NULL) <> (dispute_id IS NULL)", name=op.f("ck_evidence_pictures_belongs_to_one")
        ),
        sa.CheckConstraint("width > 0 AND height > 0", name=op.f("ck_evidence_pictures_has_size")),
        sa.ForeignKeyConstraint(["dispute_id"], ["disputes.id"], name=op.f("fk_evidence_pictures_dispute_id_disputes")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_evidence_pictures_order_id_orders")),
        sa.ForeignKeyConstraint(
            ["refund_request_id"],
            ["refund_requests.id"],
            name=op.f("fk_evidence_pictures_refund_request_id_refund_requests"),
        ),
        sa.ForeignKeyConstraint(["uploader_id"], ["users.id"], name=op.f("fk_evidence_pictures_uploader_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evidence_pictures")),
    )
    op.create_index("ix_evidence_pictures_order_id_id", "evidence_pictures", ["order_id", "id"], unique=False)
    op.create_index(
        "ix_gateway_notifications_refused",
        "gateway_notifications",
        ["received_at"],
        unique=False,
        postgresql_where=sa.text("refusal IS NOT NULL"),
    )
    op.add_column("order_events", sa.Column("previous_hash", sa.String(length=64), nullable=True))
    op.add_column("order_events", sa.Column("hash", sa.String(length=64), nullable=True))
    op.add_column("orders", sa.Column("history_hash", sa.String(length=64), nullable=True))
    op.add_column("orders", sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("orders", sa.Column("remind_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("orders", sa.Column("clock_left", sa.Interval(), nullable=True))
    op.add_column("orders", sa.Column("disputed", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("orders", sa.Column("extended", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("orders", sa.Column("handover_code", sa.String(length=6), nullable=True))
    op.add_column("orders", sa.Column("handover_tries", sa.SmallInteger(), server_default="0", nullable=False))
    op.create_index(
        "ix_orders_deadline_at",
        "orders",
        ["deadline_at"],
        unique=False,
        postgresql_where=sa.text("deadline_at IS NOT NULL"),
    )
    op.create_index(
        "ix_orders_remind_at", "orders", ["remind_at"], unique=False, postgresql_where=sa.text("remind_at IS NOT NULL")
    )
    op.create_index(
        "ix_orders_unpaid_buyer_id",
        "orders",
        ["buyer_id", "updated_at"],
        unique=False,
        postgresql_where=sa.text("bill_status = 1"),
    )
    op.add_column("payments", sa.Column("attempt", sa.SmallInteger(), server_default="1", nullable=False))
    op.add_column("payments", sa.Column("state", sa.String(length=10), server_default="open", nullable=False))
    op.add_column("payments", sa.Column("query_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("payments", sa.Column("queries", sa.SmallInteger(), server_default="0", nullable=False))
    op.drop_constraint(op.f("uq_payments_order_id"), "payments", type_="unique")
    op.create_index(
        "ix_payments_query_at", "payments", ["query_at"], unique=False, postgresql_where=sa.text("query_at IS NOT NULL")
    )
    op.create_unique_constraint(op.f("uq_payments_order_id_attempt"), "payments", ["order_id", "attempt"])
    op.add_column("refund_requests", sa.Column("outcome", sa.String(length=30), nullable=True))
    op.add_column(
        "refund_requests", sa.Column("outcome_note", sa.String(length=500), server_default="", nullable=False)
    )
    op.add_column("refund_requests", sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True))
    op.drop_index(
        op.f("ix_refunds_pending"), table_name="refunds", postgresql_where="((state)::text = 'pending'::text)"
    )

    op.execute(_DEADLINES)
    op.execute(_HANDOVER_CODES)
    op.execute(_REQUESTS)
    op.execute(_PAYMENTS)
    op.execute("UPDATE refunds SET reason = 'payment_late' WHERE reason = 'paid_after_close'")
    op.execute(_OWED)
    _chain_histories()
    op.alter_column("order_events", "previous_hash", nullable=False)
    op.alter_column("order_events", "hash", nullable=False)
    op.alter_column("orders", "history_hash", nullable=False)
    op.create_check_constraint(
        op.f("ck_orders_closed_has_no_clock"), "orders", "NOT closed OR (deadline_at IS NULL AND remind_at IS NULL)"
    )
    op.create_check_constraint(
        op.f("ck_orders_dispute_stops_the_clock"), "orders", "NOT disputed OR (bill_status = 4 AND deadline_at IS NULL)"
    )
    op.create_check_constraint(op.f("ck_payments_state_known"), "payments", "state IN ('open', 'paid', 'closed')")
    op.create_check_constraint(
        op.f("ck_payments_paid_has_a_moment"), "payments", "(state = 'paid') = (paid_at IS NOT NULL)"
    )
    op.drop_constraint(op.f("ck_refunds_state_known"), "refunds", type_="check")
    op.create_check_constraint(
        op.f("ck_refunds_state_known"), "refunds", "state IN ('pending', 'confirmed', 'refused')"
    )
    op.create_index(
        "uq_payments_open_order", "payments", ["order_id"], unique=True, postgresql_where=sa.text("state = 'open'")
    )
    for table in _APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )


def _chain_histories() -> None:
    """Give every line that is there its place in the chain, as `app.orders.history` does for new ones."""
    connection = op.get_bind()
    lines = connection.execute(
        sa.text("""
            SELECT e.*, o.order_no FROM order_events e JOIN orders o ON o.id = e.order_id
            ORDER BY e.order_id, e.sequence
        """)
    ).mappings()
    last: dict[int, str] = {}
    for line in lines.all():
        previous = last.get(line["order_id"], "0" * 64)
        content = {name: line[name] for name in _CHAINED}
        content["at"] = line["at"].astimezone(UTC).isoformat(timespec="microseconds")
        content["previous_hash"] = previous
        text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        last[line["order_id"]] = hashlib.sha256(text.encode()).hexdigest()
        connection.execute(
            sa.text("UPDATE order_events SET previous_hash = :previous, hash = :hash WHERE id = :id"),
            {"previous": previous, "hash": last[line["order_id"]], "id": line["id"]},
        )
    for order_id, line_hash in last.items():
        connection.execute(
            sa.text("UPDATE orders SET history_hash = :hash WHERE id = :id"), {"hash": line_hash, "id": order_id}
        )
    op.execute("UPDATE orders SET history_hash = '' WHERE history_hash IS NULL")


def downgrade() -> None:
    """Take back. Of several attempts to pay an order only the one that was paid, else the last, is kept."""
    for table in _APPEND_ONLY:
        op.execute(f"DROP TRIGGER {table}_append_only ON {table}")
        op.execute(f"DROP TRIGGER {table}_no_truncate ON {table}")
    op.execute("""
        DELETE FROM refunds WHERE payment_id IN (
            SELECT id FROM payments p WHERE EXISTS (
                SELECT 1 FROM payments q WHERE q.order_id = p.order_id
                AND (q.state = 'paid', q.id) > (p.state = 'paid', p.id)))
    """)
    op.execute("""
        DELETE FROM payments p USING payments q WHERE q.order_id = p.order_id
        AND (q.state = 'paid', q.id) > (p.state = 'paid', p.id)
    """)
    op.execute("UPDATE refunds SET state = 'pending' WHERE state = 'refused'")
    op.execute("UPDATE refunds SET reason = 'paid_after_close' WHERE reason = 'payment_late'")
    op.drop_constraint(op.f("ck_refunds_state_known"), "refunds", type_="check")
    op.create_check_constraint(op.f("ck_refunds_state_known"), "refunds", "state IN ('pending', 'confirmed')")

    op.create_index(
        op.f("ix_refunds_pending"),
        "refunds",
        ["created_at"],
        unique=False,
        postgresql_where="((state)::text = 'pending'::text)",
    )
    op.drop_column("refund_requests", "ended_at")
    op.drop_column("refund_requests", "outcome_note")
    op.drop_column("refund_requests", "outcome")
    op.drop_constraint(op.f("uq_payments_order_id_attempt"), "payments", type_="unique")
    op.drop_index("uq_payments_open_order", table_name="payments", postgresql_where=sa.text("state = 'open'"))
    op.drop_index("ix_payments_query_at", table_name="payments", postgresql_where=sa.text("query_at IS NOT NULL"))
    op.create_unique_constraint(
        op.f("uq_payments_order_id"), "payments", ["order_id"], postgresql_nulls_not_distinct=False
    )
    op.drop_column("payments", "queries")
    op.drop_column("payments", "query_at")
    op.drop_column("payments", "state")
    op.drop_column("payments", "attempt")
    op.drop_index("ix_orders_unpaid_buyer_id", table_name="orders", postgresql_where=sa.text("bill_status = 1"))
    op.drop_index("ix_orders_remind_at", table_name="orders", postgresql_where=sa.text("remind_at IS NOT NULL"))
    op.drop_index("ix_orders_deadline_at", table_name="orders", postgresql_where=sa.text("deadline_at IS NOT NULL"))
    op.drop_column("orders", "handover_tries")
    op.drop_column("orders", "handover_code")
    op.drop_column("orders", "extended")
    op.drop_column("orders", "disputed")
    op.drop_column("orders", "clock_left")
    op.drop_column("orders", "remind_at")
    op.drop_column("orders", "deadline_at")
    op.drop_column("orders", "history_hash")
    op.drop_column("order_events", "hash")
    op.drop_column("order_events", "previous_hash")
    op.drop_index(
        "ix_gateway_notifications_refused",
        table_name="gateway_notifications",
        postgresql_where=sa.text("refusal IS NOT NULL"),
    )
    op.drop_index("ix_evidence_pictures_order_id_id", table_name="evidence_pictures")
    op.drop_table("evidence_pictures")
    op.drop_index("uq_disputes_open_order", table_name="disputes", postgresql_where=sa.text("ended_at IS NULL"))
    op.drop_index("ix_disputes_order_id_id", table_name="disputes")
    op.drop_table("disputes")
    op.drop_index("ix_staff_actions_subject_subject_id", table_name="staff_actions")
    op.drop_table("staff_actions")
