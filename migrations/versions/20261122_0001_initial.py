"""The first schema: accounts, goods, moderation, orders, payments, outbox.

Revision: 0001
After:
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "gateway_notifications",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("out_trade_no", sa.String(length=64), nullable=False),
        sa.Column("trade_no", sa.String(length=64), nullable=False),
        sa.Column("fields", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("refusal", sa.String(length=100), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gateway_notifications")),
    )
    with op.batch_alter_table("gateway_notifications", schema=None) as batch_op:
        batch_op.create_index("ix_gateway_notifications_out_trade_no", ["out_trade_no"], unique=False)

    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("topic", sa.String(length=40), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_outbox_topic_id"), ["topic", "id"], unique=False)

    op.create_table(
        "users",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("username", sa.String(length=20), nullable=False),
        sa.Column("username_key", sa.String(length=40), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.Column("bio", sa.String(length=200), nullable=False),
        sa.Column("is_staff", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("username_key", name=op.f("uq_users_username_key")),
    )
    op.create_table(
        "addresses",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=30), nullable=False),
        sa.Column("mobile", sa.String(length=11), nullable=False),
        sa.Column("province", sa.String(length=30), nullable=False),
        sa.Column("city", sa.String(length=30), nullable=False),
        sa.Column("district", sa.String(length=30), nullable=False),
        sa.Column("detail", sa.String(length=200), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_addresses_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_addresses")),
    )
    with op.batch_alter_table("addresses", schema=None) as batch_op:
        batch_op.create_index("ix_addresses_user_id", ["user_id"], unique=False)
        batch_op.create_index("uq_addresses_default", ["user_id"], unique=True, postgresql_where=sa.text("is_default"))

    op.create_table(
        "goods",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("owner_id", sa.BigInteger(), nullable=False),
        sa.Column("title", sa.String(length=60), nullable=False),
        sa.Column("description", sa.String(length=2000), nullable=False),
        sa.Column("price", sa.BigInteger(), nullable=False),
        sa.Column("original_price", sa.BigInteger(), nullable=True),
        sa.Column("freight", sa.BigInteger(), nullable=False),
        sa.Column("category", sa.SmallInteger(), nullable=False),
        sa.Column("trade_mode", sa.SmallInteger(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("review_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("category IN (1, 2, 3, 4, 5, 6, 7, 8, 9)", name=op.f("ck_goods_category_known")),
        sa.CheckConstraint("freight >= 0", name=op.f("ck_goods_freight_not_negative")),
        sa.CheckConstraint("original_price >= 0", name=op.f("ck_goods_original_price_not_negative")),
        sa.CheckConstraint("price > 0", name=op.f("ck_goods_price_positive")),
        sa.CheckConstraint("status IN (1, 2, 3, 4, 5)", name=op.f("ck_goods_status_known")),
        sa.CheckConstraint("trade_mode IN (6, 7, 8)", name=op.f("ck_goods_trade_mode_known")),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_goods_owner_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_goods")),
    )
    with op.batch_alter_table("goods", schema=None) as batch_op:
        batch_op.create_index(
            "ix_goods_category_published_at",
            ["category", "published_at", "id"],
            unique=False,
            postgresql_where=sa.text("status = 2 AND NOT deleted"),
        )
        batch_op.create_index(
            "ix_goods_in_review", ["updated_at"], unique=False, postgresql_where=sa.text("status = 1 AND NOT deleted")
        )
        batch_op.create_index("ix_goods_owner_id_id", ["owner_id", "id"], unique=False)
        batch_op.create_index(
            "ix_goods_price", ["price", "id"], unique=False, postgresql_where=sa.text("status = 2 AND NOT deleted")
        )
        batch_op.create_index(
            "ix_goods_published_at",
            ["published_at", "id"],
            unique=False,
            postgresql_where=sa.text("status = 2 AND NOT deleted"),
        )

    op.create_table(
        "pictures",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("good_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("content_type", sa.String(length=20), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("width > 0 AND height > 0", name=op.f("ck_pictures_has_size")),
        sa.ForeignKeyConstraint(["good_id"], ["goods.id"], name=op.f("fk_pictures_good_id_goods")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pictures")),
    )
    with op.batch_alter_table("pictures", schema=None) as batch_op:
        batch_op.create_index("ix_pictures_good_id_position", ["good_id", "position"], unique=False)

    op.create_table(
        "verdicts",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("good_id", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("subject", sa.String(length=40), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("reasons", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["good_id"], ["goods.id"], name=op.f("fk_verdicts_good_id_goods")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verdicts")),
        sa.UniqueConstraint(
            "good_id", "revision", "kind", "subject", name=op.f("uq_verdicts_good_id_revision_kind_subject")
        ),
    )
    op.create_table(
        "orders",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("order_no", sa.String(length=32), nullable=False),
        sa.Column("good_id", sa.BigInteger(), nullable=False),
        sa.Column("buyer_id", sa.BigInteger(), nullable=False),
        sa.Column("seller_id", sa.BigInteger(), nullable=False),
        sa.Column("good_title", sa.String(length=60), nullable=False),
        sa.Column("good_picture_id", sa.BigInteger(), nullable=True),
        sa.Column("price", sa.BigInteger(), nullable=False),
        sa.Column("freight", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("trade_mode", sa.SmallInteger(), nullable=False),
        sa.Column("bill_status", sa.SmallInteger(), nullable=False),
        sa.Column("order_status", sa.SmallInteger(), nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.Column("closed_reason", sa.String(length=30), nullable=True),
        sa.Column("history_length", sa.Integer(), nullable=False),
        sa.Column("refund_count", sa.SmallInteger(), nullable=False),
        sa.Column("address", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("hidden_by_buyer", sa.Boolean(), nullable=False),
        sa.Column("hidden_by_seller", sa.Boolean(), nullable=False),
        sa.Column("phase_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(bill_status, order_status, closed) IN ((1,6,false),(1,6,true),(2,6,false),(2,7,false),(3,8,false),(3,8,true),(4,6,false),(4,7,false),(4,8,false),(4,9,false),(5,6,true),(5,7,true),(5,8,true),(5,10,true),(3,9,true))",  # noqa: E501 - one expression, as the machine prints it
            name=op.f("ck_orders_phase_legal"),
        ),
        sa.CheckConstraint("amount = price + freight", name=op.f("ck_orders_amount_is_sum")),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_orders_amount_not_negative")),
        sa.CheckConstraint("buyer_id <> seller_id", name=op.f("ck_orders_two_parties")),
        sa.CheckConstraint("freight >= 0", name=op.f("ck_orders_freight_not_negative")),
        sa.CheckConstraint("price >= 0", name=op.f("ck_orders_price_not_negative")),
        sa.ForeignKeyConstraint(["buyer_id"], ["users.id"], name=op.f("fk_orders_buyer_id_users")),
        sa.ForeignKeyConstraint(["good_id"], ["goods.id"], name=op.f("fk_orders_good_id_goods")),
        sa.ForeignKeyConstraint(["good_picture_id"], ["pictures.id"], name=op.f("fk_orders_good_picture_id_pictures")),
        sa.ForeignKeyConstraint(["seller_id"], ["users.id"], name=op.f("fk_orders_seller_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
        sa.UniqueConstraint("order_no", name=op.f("uq_orders_order_no")),
    )
    with op.batch_alter_table("orders", schema=None) as batch_op:
        batch_op.create_index("ix_orders_buyer_id_id", ["buyer_id", "id"], unique=False)
        batch_op.create_index("ix_orders_good_id", ["good_id"], unique=False)
        batch_op.create_index("ix_orders_seller_id_id", ["seller_id", "id"], unique=False)
        batch_op.create_index("uq_orders_open_good", ["good_id"], unique=True, postgresql_where=sa.text("NOT closed"))

    op.create_table(
        "order_events",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("event", sa.String(length=30), nullable=False),
        sa.Column("role", sa.String(length=10), nullable=False),
        sa.Column("actor_id", sa.BigInteger(), nullable=True),
        sa.Column("from_bill", sa.SmallInteger(), nullable=True),
        sa.Column("from_order", sa.SmallInteger(), nullable=True),
        sa.Column("to_bill", sa.SmallInteger(), nullable=False),
        sa.Column("to_order", sa.SmallInteger(), nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["actor_id"], ["users.id"], name=op.f("fk_order_events_actor_id_users")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_order_events_order_id_orders")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_events")),
        sa.UniqueConstraint("order_id", "sequence", name=op.f("uq_order_events_order_id_sequence")),
    )
    op.create_table(
        "payments",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("out_trade_no", sa.String(length=64), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("trade_no", sa.String(length=64), nullable=True),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_payments_amount_not_negative")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_payments_order_id_orders")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payments")),
        sa.UniqueConstraint("order_id", name=op.f("uq_payments_order_id")),
        sa.UniqueConstraint("out_trade_no", name=op.f("uq_payments_out_trade_no")),
    )
    op.create_table(
        "refund_requests",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=100), nullable=False),
        sa.Column("description", sa.String(length=500), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_refund_requests_order_id_orders")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund_requests")),
    )
    with op.batch_alter_table("refund_requests", schema=None) as batch_op:
        batch_op.create_index("ix_refund_requests_order_id_id", ["order_id", "id"], unique=False)

    op.create_table(
        "waybills",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("direction", sa.String(length=10), nullable=False),
        sa.Column("sender", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("recipient", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("company", sa.String(length=30), nullable=False),
        sa.Column("tracking_no", sa.String(length=40), nullable=False),
        sa.Column("freight", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("direction IN ('delivery', 'return')", name=op.f("ck_waybills_direction_known")),
        sa.CheckConstraint("freight >= 0", name=op.f("ck_waybills_freight_not_negative")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_waybills_order_id_orders")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_waybills")),
        sa.UniqueConstraint("order_id", "direction", name=op.f("uq_waybills_order_id_direction")),
    )
    op.create_table(
        "refunds",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("payment_id", sa.BigInteger(), nullable=False),
        sa.Column("request_no", sa.String(length=64), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=30), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.String(length=200), nullable=True),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state IN ('pending', 'confirmed')", name=op.f("ck_refunds_state_known")),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_refunds_amount_not_negative")),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_refunds_payment_id_payments")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refunds")),
        sa.UniqueConstraint("payment_id", name=op.f("uq_refunds_payment_id")),
        sa.UniqueConstraint("request_no", name=op.f("uq_refunds_request_no")),
    )
    with op.batch_alter_table("refunds", schema=None) as batch_op:
        batch_op.create_index(
            "ix_refunds_pending", ["created_at"], unique=False, postgresql_where=sa.text("state = 'pending'")
        )


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table("refunds", schema=None) as batch_op:
        batch_op.drop_index("ix_refunds_pending", postgresql_where=sa.text("state = 'pending'"))

    op.drop_table("refunds")
    op.drop_table("waybills")
    with op.batch_alter_table("refund_requests", schema=None) as batch_op:
        batch_op.drop_index("ix_refund_requests_order_id_id")

    op.drop_table("refund_requests")
    op.drop_table("payments")
    op.drop_table("order_events")
    with op.batch_alter_table("orders", schema=None) as batch_op:
        batch_op.drop_index("uq_orders_open_good", postgresql_where=sa.text("NOT closed"))
        batch_op.drop_index("ix_orders_seller_id_id")
        batch_op.drop_index("ix_orders_good_id")
        batch_op.drop_index("ix_orders_buyer_id_id")

    op.drop_table("orders")
    op.drop_table("verdicts")
    with op.batch_alter_table("pictures", schema=None) as batch_op:
        batch_op.drop_index("ix_pictures_good_id_position")

    op.drop_table("pictures")
    with op.batch_alter_table("goods", schema=None) as batch_op:
        batch_op.drop_index("ix_goods_published_at", postgresql_where=sa.text("status = 2 AND NOT deleted"))
        batch_op.drop_index("ix_goods_price", postgresql_where=sa.text("status = 2 AND NOT deleted"))
        batch_op.drop_index("ix_goods_owner_id_id")
        batch_op.drop_index("ix_goods_in_review", postgresql_where=sa.text("status = 1 AND NOT deleted"))
        batch_op.drop_index("ix_goods_category_published_at", postgresql_where=sa.text("status = 2 AND NOT deleted"))

    op.drop_table("goods")
    with op.batch_alter_table("addresses", schema=None) as batch_op:
        batch_op.drop_index("uq_addresses_default", postgresql_where=sa.text("is_default"))
        batch_op.drop_index("ix_addresses_user_id")

    op.drop_table("addresses")
    op.drop_table("users")
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_outbox_topic_id"))

    op.drop_table("outbox")
    with op.batch_alter_table("gateway_notifications", schema=None) as batch_op:
        batch_op.drop_index("ix_gateway_notifications_out_trade_no")

    op.drop_table("gateway_notifications")
