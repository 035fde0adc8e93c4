"""Outbox with retries, order and dead letters; in-app notifications.

Revision: 0003
After: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("outbox", sa.Column("stream", sa.String(length=64), nullable=True))
    op.add_column("outbox", sa.Column("attempts", sa.Integer(), server_default="0", nullable=False))
    op.add_column("outbox", sa.Column("leased", sa.Boolean(), server_default="false", nullable=False))
    op.add_column("outbox", sa.Column("due_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE outbox SET due_at = created_at")
    op.alter_column("outbox", "due_at", nullable=False)
    op.add_column("outbox", sa.Column("last_error", sa.String(length=500), nullable=True))
    op.add_column("outbox", sa.Column("dead_at", sa.DateTime(timezone=True), nullable=True))
    op.drop_index("ix_outbox_topic_id", table_name="outbox")
    op.create_index("ix_outbox_due", "outbox", ["topic", "due_at", "id"], postgresql_where=sa.text("dead_at IS NULL"))
    op.create_index(
        "ix_outbox_stream",
        "outbox",
        ["stream", "id"],
        postgresql_where=sa.text("dead_at IS NULL AND stream IS NOT NULL"),
    )
    op.create_index("ix_outbox_leased", "outbox", ["topic", "due_at"], postgresql_where=sa.text("leased"))

    op.create_table(
        "notifications",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=True),
        sa.Column("order_event_id", sa.BigInteger(), nullable=True),
        sa.Column("event", sa.String(length=30), nullable=False),
        sa.Column("title", sa.String(length=80), nullable=False),
        sa.Column("text", sa.String(length=300), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('order', 'reminder', 'payout', 'staff')", name=op.f("ck_notifications_kind_known")
        ),
        sa.ForeignKeyConstraint(
            ["order_event_id"], ["order_events.id"], name=op.f("fk_notifications_order_event_id_order_events")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_notifications_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notifications")),
        sa.UniqueConstraint("order_event_id", "user_id", name=op.f("uq_notifications_order_event_id_user_id")),
    )
    op.create_index("ix_notifications_user_id_id", "notifications", ["user_id", "id"])
    op.create_index(
        "ix_notifications_unread", "notifications", ["user_id", "id"], postgresql_where=sa.text("read_at IS NULL")
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("notifications")
    op.drop_index("ix_outbox_leased", table_name="outbox")
    op.drop_index("ix_outbox_stream", table_name="outbox")
    op.drop_index("ix_outbox_due", table_name="outbox")
    op.create_index("ix_outbox_topic_id", "outbox", ["topic", "id"])
    for column in ("dead_at", "last_error", "due_at", "leased", "attempts", "stream"):
        op.drop_column("outbox", column)
